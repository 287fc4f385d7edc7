"""Codec: every destination comes back from bytes, and other programs need no header."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.delivery.brokers.headers import ATTEMPT, DUE, ENCODING, INSIDE, KEY, UNTIL
from arvo.interpreters.paired.documents.codec import (
    Unreadable,
    decode_delivery,
    decode_message,
    encode_message,
)
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.messages import Delivery, Destination, Message, queue_of
from arvo.testing.conformance.kit.samples import CLIENT, SERVICE, WORKFLOW, event

BODY = event("one").to_json().encode()


@pytest.mark.parametrize(
    ("to", "attributes"),
    [
        (ToHandler(WORKFLOW, event("one").subject), {}),
        (ToDomain("human.review"), {"domain": "human.review"}),
        (ToCaller(WORKFLOW), {}),
    ],
)
def test_a_key_that_follows_from_the_event_has_no_header(
    to: Destination, attributes: dict[str, Any]
) -> None:
    """Other programs that publish need not know about keys; a workflow stays serial."""
    message = Message(event("one", **attributes), to)

    encoded = encode_message(message)

    assert KEY not in encoded.headers
    assert encoded.body == message.event.to_json().encode()
    published = decode_message(EncodedMessage(queue_of(to), encoded.body))
    assert published == attrs.evolve(message, outside=True)


@pytest.mark.parametrize("key", [None, "", "*", "a\r\nNats-Msg-Id: b", "é 🧵"])
def test_any_other_key_is_a_header_in_printable_ascii(key: str | None) -> None:
    """No key is taken for another one, or for a header."""
    message = Message(event("one"), ToHandler(SERVICE, key))

    encoded = encode_message(message)

    assert encoded.headers[KEY].isascii()
    assert encoded.headers[KEY].isprintable()
    assert decode_message(encoded) == message


@pytest.mark.parametrize("to", [ToDomain("a.person"), ToCaller(CLIENT)])
def test_a_destination_that_the_event_does_not_name_comes_back(to: Destination) -> None:
    """An operator may redrive an event to another destination."""
    message = Message(event("one"), to)

    assert decode_message(encode_message(message)) == message


def test_the_trace_is_in_headers_too() -> None:
    """Tools that trace messages do not read the body."""
    traced = event("one", traceparent="00-0af7-b7ad-01", tracestate="vendor=a b,é")

    headers = encode_message(Message(traced, ToHandler(WORKFLOW, traced.subject))).headers

    assert headers == {
        INSIDE: "yes",
        "traceparent": "00-0af7-b7ad-01",
        "tracestate": "vendor=a b,%C3%A9",
    }


def test_a_timer_states_when_it_is_due() -> None:
    """The broker needs the time; the header is for people and tools."""
    due = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

    encoded = encode_message(Message(event("one"), ToHandler(SERVICE, None)), due)

    assert (encoded.due, encoded.headers[DUE]) == (due, "2026-01-02T03:04:00+00:00")


def test_messages_of_one_subject_have_one_partition_key() -> None:
    """A broker with partitions keeps the events of a workflow in order, wherever they go."""
    there, back = ToHandler(SERVICE, None), ToHandler(WORKFLOW, event("one").subject)

    keys = {encode_message(Message(event("one"), to)).key for to in (there, back)}

    assert keys == {event("one").subject}


def test_a_decoded_delivery_leads_back_to_the_encoded_one() -> None:
    """The pair settles it at the broker."""
    message = Message(event("one"), ToHandler(SERVICE, None))
    encoded = EncodedDelivery(encode_message(message), 3, "tag")

    assert decode_delivery(encoded) == Delivery(message, 3, encoded)


@pytest.mark.promise("I8")
@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\xff\x00 no JSON", {}, "JSON"),
        (b'{"id": "half an event"}', {}, "required"),
        (b"[]", {}, "expected an object"),
        (b" " * (EVENT_BYTES_MAX + 1), {}, f"at most {EVENT_BYTES_MAX} bytes"),
        (BODY, {KEY: "\ufffd"}, KEY),
        (BODY, {DUE: "tomorrow"}, "tomorrow"),
        (BODY, {DUE: "2026-01-02T03:04:05"}, "an offset"),
        # An adapter leaves these where it cannot read them.
        (BODY, {ATTEMPT: "many"}, ATTEMPT),
        (BODY, {UNTIL: "tomorrow"}, UNTIL),
        (BODY, {ENCODING: "deflate"}, ENCODING),
    ],
)
def test_an_unreadable_message_is_refused_with_its_reason(
    body: bytes, headers: dict[str, str], reason: str
) -> None:
    """The consumer dead-letters it: it must neither stop the others nor vanish (I8)."""
    with pytest.raises(Unreadable, match=reason):
        decode_message(EncodedMessage(SERVICE, body, headers))


def test_a_message_with_an_integer_beyond_64_bits_is_unreadable() -> None:
    """Another program may publish it, and a handler would read another number."""
    body = event("one", executionunits=2**63).to_json().replace(str(2**63), str(2**64 + 1))

    with pytest.raises(Unreadable, match=r"executionunits: expected an integer from .*617"):
        decode_message(EncodedMessage(WORKFLOW, body.encode()))
