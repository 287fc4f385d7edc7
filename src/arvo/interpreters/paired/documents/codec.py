"""Codec: events and their destinations as the encoded messages of a broker, and back."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.violations.violation import Violated
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.delivery.brokers.headers import ADAPTER_HEADERS, DUE, INSIDE, KEY
from arvo.interpreters.delivery.brokers.ordering import NO_KEY
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.messages import (
    OUTBOUND_QUEUE,
    REPLY_QUEUE,
    Delivery,
    Destination,
    Message,
    queue_of,
    timer_message,
)

# The characters of a trace header that stay as they are: printable ASCII, but for the percent sign.
_TRACE_SAFE: Final = " !#$&'()*+,/:;<=>?@[]^`{|}~\"\\"


class Unreadable(ValueError):
    """The message is no event, or one of its headers cannot be read; the text gives the reason.

    It will never become readable, so the consumer dead-letters it.
    """


def encode_message(message: Message, due: datetime | None = None) -> EncodedMessage:
    """Encode an event and its destination, to be delivered when it is *due*, or at once.

    The trace goes into headers too, because tools that trace messages do not read the body. The key
    header is left out where the key follows from the event, so that other programs need not know
    about keys.
    """
    event, queue, key = message.event, queue_of(message.to), _key_of(message.to)
    headers: dict[str, str] = {INSIDE: "yes"}
    for name, value in (("traceparent", event.traceparent), ("tracestate", event.tracestate)):
        if value is not None:
            headers[name] = quote(value, safe=_TRACE_SAFE)
    if key != _default_key(queue, event):
        headers[KEY] = NO_KEY if key is None else quote(key, safe="")
    if due is not None:
        headers[DUE] = due.isoformat()
    return EncodedMessage(queue, event.to_json().encode(), headers, event.subject, due)


def encode_output(commit: Commit, messages: Sequence[Message]) -> tuple[EncodedMessage, ...]:
    """Encode the messages of a commit. A timer is a message that is due later. The broker delivers
    a cleared timer too, and the step ignores it.
    """
    return *map(encode_message, messages), *encode_timers(commit)


def encode_timers(commit: Commit) -> Iterator[EncodedMessage]:
    """Yield the timers of a commit, encoded."""
    for timer in commit.timers:
        yield encode_message(timer_message(commit, timer), timer.due)


def decode_message(message: EncodedMessage) -> Message:
    """Decode a message; raises `Unreadable`. Headers may be missing: other programs publish too,
    and their messages are from outside.

    An event that is too long is refused before it is parsed.
    """
    _check_headers(message)
    try:
        event: Event[Any] = Event.parse(message.body)
    except Violated as error:
        raise Unreadable(f"the message is no CloudEvent: {error}") from error
    text = message.headers.get(KEY)
    match text:
        case None:
            key = _default_key(message.queue, event)
        case str() if text == NO_KEY:
            key = None
        case _:
            key = unquote(text)
    return Message(event, destination_of(message.queue, key), INSIDE not in message.headers)


def decode_delivery(delivery: EncodedDelivery) -> Delivery:
    """Decode a delivery; raises `Unreadable`. The token of the result is the encoded delivery."""
    return Delivery(decode_message(delivery.message), delivery.attempt, delivery)


def _check_headers(message: EncodedMessage) -> None:
    """Refuse headers that are not as the wire format defines them."""
    for name in ADAPTER_HEADERS:
        if name in message.headers:
            raise _bad_header(name, message.headers[name])
    key, due = message.headers.get(KEY, ""), message.headers.get(DUE)
    if not key.isascii():
        raise _bad_header(KEY, key)
    if due is not None:
        try:
            time = datetime.fromisoformat(due)
        except ValueError as error:
            raise _bad_header(DUE, due) from error
        if time.tzinfo is None:
            raise Unreadable(f"header {DUE}: expected a time with an offset, got {due!r}")


def _bad_header(name: str, value: str) -> Unreadable:
    return Unreadable(f"header {name}: {value!r} cannot be read")


def _key_of(to: Destination) -> str | None:
    """Return the part of a destination that its queue does not imply."""
    match to:
        case ToHandler(key=key):
            return key
        case ToDomain(domain=name) | ToCaller(address=name):
            return name


def _default_key(queue: str, event: Event[Any]) -> str | None:
    """Return the key of an event that comes without a key header."""
    if queue == OUTBOUND_QUEUE:
        return event.domain
    if queue == REPLY_QUEUE:
        return event.to
    # A workflow handles the events of a subject one at a time. A handler without memory need not,
    # but does no harm by it.
    return event.subject


def destination_of(queue: str, key: str | None) -> Destination:
    """Return the destination of a queue, with the part that the queue does not imply."""
    if queue == OUTBOUND_QUEUE:
        return ToDomain(key or "")
    if queue == REPLY_QUEUE:
        return ToCaller(key or "")
    return ToHandler(queue, key)


def message_to_dict(message: EncodedMessage) -> dict[str, Any]:
    """Return a message as JSON data, for a value in a machine memory."""
    return {
        "queue": message.queue,
        # JSON in JSON, so that people and tools can read the whole value.
        "event": orjson.Fragment(message.body),
        "headers": message.headers,
        "key": message.key,
        "due": message.due,
    }


def message_from_dict(fields: dict[str, Any]) -> EncodedMessage:
    """Read the result of `message_to_dict`."""
    due = fields["due"]
    return EncodedMessage(
        queue=fields["queue"],
        body=orjson.dumps(fields["event"]),
        headers=fields["headers"],
        key=fields["key"],
        due=None if due is None else datetime.fromisoformat(due),
    )
