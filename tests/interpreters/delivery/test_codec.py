"""Rows: what a database holds reads back as it was, or says that it is spoilt."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from arvo import (
    ConfigViolation,
    ContractViolation,
    DeadLetter,
    Event,
    ExecutionViolation,
    Issue,
    TransactionViolation,
    Violation,
)
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.delivery.codec import (
    destination_bytes,
    destination_of,
    digest_of,
    event_of,
    letter_bytes,
    letter_of,
    milliseconds,
    record_bytes,
    record_of,
    time_of,
    whole_record_bytes,
)
from arvo.interpreters.ports.backend import Corrupt, Destination
from tests.shop import NOW, charging, committed, placing, shop

ISSUES = (Issue("data.a", "more", "less"), Issue("data.b", "1", "2"))


@pytest.mark.parametrize(
    "to",
    [
        ToHandler("com.a.b", "key"),
        ToHandler("com.a.b", None),
        ToDomain("human"),
        ToCaller("com.a.b"),
    ],
)
def test_where_a_post_goes_reads_back(to: Destination) -> None:
    """All that a post can be sent to."""
    assert destination_of(destination_bytes(to)) == to


def letter(to: Destination | None, violation: Violation | None) -> DeadLetter:
    return DeadLetter(
        id="l1",
        event=Event.from_dict(charging().to_dict()),
        reason="no bank",
        attempts=3,
        at="2026-01-02T03:04:05Z",
        to=to,
        violation=violation,
    )


@pytest.mark.parametrize(
    "violation",
    [
        None,
        ContractViolation("no", ISSUES),
        ConfigViolation("no", ISSUES),
        ExecutionViolation("no", ISSUES),
        TransactionViolation("no", "early", ISSUES),
    ],
)
def test_a_dead_letter_reads_back_with_its_reason(violation: Violation | None) -> None:
    """An operator decides by it; each kind has another remedy."""
    for to in (None, ToDomain("human")):
        assert letter_of(letter_bytes(letter(to, violation))) == letter(to, violation)


def test_a_record_reads_back_from_its_lines() -> None:
    """Its journal has lines of its own, or stands in it."""
    record = committed(shop, placing()).record
    assert record is not None

    assert "journal" not in orjson.loads(record_bytes(record))
    assert record_of(record_bytes(record), []) == record
    assert record_of(whole_record_bytes(record), None) == record


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: event_of(b"{"), "holds an event that cannot be read (unexpected end of data"),
        (lambda: event_of(b"{}"), "holds an event that cannot be read (ContractViolation:"),
        (lambda: record_of(b"[", []), "holds a record that cannot be read (unexpected end"),
        (lambda: record_of(b"{}", [b"{"]), "holds a record that cannot be read (unexpected end"),
        (lambda: record_of(b"5", []), "holds a record that cannot be read ('int' object"),
        (lambda: destination_of(b'{"up": 1}'), "a destination that cannot be read ({'up': 1})"),
        (lambda: letter_of(b"{}"), "holds a dead letter that cannot be read ('to')"),
        (lambda: letter_of(b"["), "holds a dead letter that cannot be read (unexpected end"),
    ],
)
def test_what_is_spoilt_says_what_it_is_and_why(read: Callable[[], Any], said: str) -> None:
    """Nobody but a person can mend it: with a backup, or with this message."""
    with pytest.raises(Corrupt) as corrupt:
        read()

    assert said in str(corrupt.value)
    assert "backup" in str(corrupt.value)


def test_a_consumption_has_the_same_name_in_every_version_of_the_library() -> None:
    """After an upgrade an event that comes again must be found in the inbox."""
    event = charging(subject="s")

    assert digest_of("com.payment.charge", event).hex() == ("b5af8a91057e2195df18a0824df07bce")


def test_no_two_consumptions_have_one_name() -> None:
    """Though their parts, run together, read the same."""
    one, other = charging("1", subject="2a"), charging("12", subject="a")

    assert digest_of("h", one) != digest_of("h", other)


@pytest.mark.parametrize("microseconds", [0, 1, 999, 1_000, -1, -1_000])
def test_a_time_is_kept_in_milliseconds_rounded_up(microseconds: int) -> None:
    """I7: nothing is due too early."""
    time = NOW + timedelta(microseconds=microseconds)

    kept = time_of(milliseconds(time))

    assert time <= kept < time + timedelta(milliseconds=1)
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000
