"""Identity: ids derived from their cause, and ids that users choose."""

import base64
import zlib
from typing import Any

import pytest

from arvo import Managed, ManagedId, Violated
from arvo.core.events.identity import derived_id, event_id


def test_an_id_depends_on_its_cause_and_on_nothing_else() -> None:
    """B21: random ids would hide the duplicates of a redelivered event."""
    cause = ("com.pay", "com.web", "e1", "s", 0, 0)

    assert derived_id(*cause) == derived_id(*cause) == "3a81f951-90a2-49a6-a93c-5c2c5b37ccb4"
    others = [(*cause[:i], "other", *cause[i + 1 :]) for i in range(len(cause))]
    assert len({derived_id(*cause), *(derived_id(*other) for other in others)}) == 7  # type: ignore[arg-type]


def test_a_managed_value_can_be_read_from_the_id() -> None:
    """The receiver correlates by it."""
    text = event_id(Managed("order 1"), "u-1")

    assert ManagedId.parse(text) == ManagedId("u-1", "order 1")
    assert event_id(Managed("order 1"), "u-2") != text


@pytest.mark.parametrize(
    ("given", "chosen"),
    [(" mine ", "mine"), ("  ", "unique"), (None, "unique"), (Managed(" "), "unique")],
)
def test_a_users_own_id_stays_and_a_blank_one_is_generated(given: str | None, chosen: str) -> None:
    """The TypeScript packages have the same two cases."""
    assert event_id(given, "unique") == chosen


@pytest.mark.parametrize("value", ["\ud800", 5, None])
def test_a_managed_value_is_a_string(value: Any) -> None:
    """The constructor reports it, not a TypeError of the JSON encoder."""
    with pytest.raises(Violated, match=r"id\.value: expected a string"):
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
def test_other_ids_hold_no_value(text: str) -> None:
    """Ids come from untrusted senders."""
    assert ManagedId.parse(text) is None
