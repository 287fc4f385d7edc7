"""Codec: decoded values equal the encoded ones, and damaged bytes raise `Corrupt`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

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
    consumption_digest,
    decode_dead_letter,
    decode_destination,
    decode_event,
    decode_record,
    encode_change,
    encode_dead_letter,
    encode_destination,
    encode_event,
    encode_record,
    from_milliseconds,
    to_milliseconds,
)
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.messages import Destination
from tests.shop import (
    NOW,
    CardCharged,
    charge_request,
    expect_commit,
    order_request,
    reply_to,
    shop,
)

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
def test_a_destination_is_decoded_as_it_was_encoded(to: Destination) -> None:
    """Every kind of destination."""
    assert decode_destination(encode_destination(to)) == to


def dead_letter(to: Destination | None, violation: Violation | None) -> DeadLetter:
    return DeadLetter(
        id="dead-1",
        event=Event.from_dict(charge_request().to_dict()),
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
def test_a_dead_letter_is_decoded_with_its_violation(violation: Violation | None) -> None:
    """An operator decides by it; each kind has a different remedy."""
    for to in (None, ToDomain("human")):
        original = dead_letter(to, violation)
        assert decode_dead_letter(encode_dead_letter(original)) == original


def test_the_bytes_of_an_event_are_written_once() -> None:
    """What is delivered, consumed and put into the history is one text."""
    written = encode_event(charge_request())
    delivered = decode_event(written)
    commit = expect_commit(shop, delivered)

    assert encode_event(delivered) is written
    assert encode_event(commit.event) is written
    assert encode_event(evolve(delivered, id="other")) == encode_event(
        Event.from_dict({**delivered.to_dict(), "id": "other"})
    )


def test_a_record_is_decoded_with_the_changes_since() -> None:
    """A store may write what a turn changes instead of the whole record."""
    begun = expect_commit(shop, order_request())
    paid = expect_commit(shop, reply_to(begun.events[0], CardCharged("r")), begun.record)
    assert begun.record is not None
    assert paid.record is not None
    whole, change = encode_record(begun.record), encode_change(begun.record, paid.record)

    assert decode_record(whole) == begun.record
    assert decode_record(whole, [change]) == paid.record


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (lambda: decode_event(b"{"), "holds an event that cannot be read (unexpected end of data"),
        (lambda: decode_event(b"{}"), "holds an event that cannot be read (ContractViolation:"),
        (lambda: decode_record(b"["), "holds a record that cannot be read (unexpected end"),
        (
            lambda: decode_record(b"{}", [b"{}"]),
            "holds a record that cannot be read ('journal')",
        ),
        (
            lambda: decode_record(b"5"),
            "holds a record that cannot be read (ExecutionViolation: unreadable record: record: ",
        ),
        (lambda: decode_destination(b'{"up": 1}'), "a destination that cannot be read ({'up': 1})"),
        (lambda: decode_dead_letter(b"{}"), "holds a dead letter that cannot be read ('data')"),
        (
            lambda: decode_dead_letter(b"["),
            "holds a dead letter that cannot be read (unexpected end",
        ),
    ],
)
def test_damaged_bytes_raise_an_error_that_names_them_and_the_reason(
    decode: Callable[[], Any], message: str
) -> None:
    """Only a person can repair the store, with a backup or with this message."""
    with pytest.raises(Corrupt) as corrupt:
        decode()

    assert message in str(corrupt.value)
    assert "backup" in str(corrupt.value)


def test_a_consumption_has_the_same_digest_in_every_version_of_the_library() -> None:
    """After an upgrade a redelivered event must be found in the inbox."""
    event = charge_request(subject="s")

    assert consumption_digest("com.payment.charge", event).hex() == (
        "b5af8a91057e2195df18a0824df07bce"
    )


def test_two_consumptions_have_different_digests() -> None:
    """Even if their parts concatenate to the same text."""
    one, other = charge_request("1", subject="2a"), charge_request("12", subject="a")

    assert consumption_digest("h", one) != consumption_digest("h", other)


@pytest.mark.promise("I7")
@pytest.mark.parametrize("microseconds", [0, 1, 999, 1_000, -1, -1_000])
def test_a_time_is_stored_in_milliseconds_rounded_up(microseconds: int) -> None:
    """I7: no timer is early."""
    time = NOW + timedelta(microseconds=microseconds)

    stored = from_milliseconds(to_milliseconds(time))

    assert time <= stored < time + timedelta(milliseconds=1)
    assert to_milliseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000
