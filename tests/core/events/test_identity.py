"""Identity: ids that follow from their cause, and ids of users."""

import base64
import zlib
from typing import Any

import pytest

from arvo import Managed, ManagedId, Violated
from arvo.core.events.identity import derived_id, event_id


def test_an_id_follows_from_its_cause_and_from_nothing_else() -> None:
    """B21: a redelivered event makes the same events, so that duplicates can be found."""
    cause = ("com.pay", "com.web", "e1", "s", 0, 0)

    assert derived_id(*cause) == derived_id(*cause) == "3a81f951-90a2-49a6-a93c-5c2c5b37ccb4"
    others = [(*cause[:i], "other", *cause[i + 1 :]) for i in range(len(cause))]
    assert len({derived_id(*cause), *(derived_id(*other) for other in others)}) == 7  # type: ignore[arg-type]


def test_a_managed_value_can_be_read_from_the_id() -> None:
    """F030, F031: what the receiver may count on."""
    text = event_id(Managed("order 1"), "u-1")

    assert ManagedId.parse(text) == ManagedId("u-1", "order 1")
    assert event_id(Managed("order 1"), "u-2") != text


@pytest.mark.parametrize(
    ("given", "chosen"),
    [(" mine ", "mine"), ("  ", "unique"), (None, "unique"), (Managed(" "), "unique")],
)
def test_a_users_own_id_is_kept_and_a_blank_one_made_up(given: str | None, chosen: str) -> None:
    """F030: developer-managed and absent."""
    assert event_id(given, "unique") == chosen


@pytest.mark.parametrize("value", ["\ud800", 5, None])
def test_a_managed_value_is_a_text(value: Any) -> None:
    """Found where it is written, not as a TypeError of the JSON writer."""
    with pytest.raises(Violated, match=r"id\.value: expected a text"):
        Managed(value)


@pytest.mark.parametrize(
    "text",
    [
        "any other id",
        "é",
        "",
        base64.b64encode(zlib.compress(b"[1]")).decode(),
        base64.b64encode(zlib.compress(b'{"uuid": 1, "value": "x"}')).decode(),
        base64.b64encode(zlib.compress(b"{" * 10_000_000)).decode(),
        base64.b64encode(zlib.compress(b"[" * 5_000)).decode(),
    ],
    ids=["plain", "no ascii", "empty", "list", "wrong type", "bomb", "deep"],
)
def test_an_id_that_holds_no_value_is_just_an_id(text: str) -> None:
    """Ids come from strangers."""
    assert ManagedId.parse(text) is None
