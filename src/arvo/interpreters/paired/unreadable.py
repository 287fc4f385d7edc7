"""Unreadable: a broker's message that is no event, as a dead letter to list and to redrive."""

from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import Any, Final

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.payloads.json_data import is_json
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.codecs.unreadable import unreadable_event
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.paired.documents.codec import destination_of
from arvo.interpreters.ports.broker import MESSAGE_BYTES_MAX, EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.messages import DeadLetter

# The part of a larger message that its dead letter holds. It shows an operator which program sent
# the message; the message itself stays with a broker that has a dead-letter queue.
EXCERPT_BYTES: Final = 4096
# Headers beyond this size are left out in the same way.
HEADER_BYTES_MAX: Final = MESSAGE_BYTES_MAX - EVENT_BYTES_MAX


def unreadable_dead_letter(delivery: EncodedDelivery, reason: str) -> DeadLetter:
    """Make the dead letter of a message that cannot be decoded.

    A dead letter holds an event, so this one holds an event of the type `UNREADABLE` with the
    message as its data: `{queue, headers, bytes, body, complete}`, where *body* is base64 and
    *complete* says whether it is the whole message. Its id follows from the message, so the message
    has one dead letter however often it is delivered.
    """
    message = delivery.message
    headers = dict(message.headers)
    size = sum(len(name) + len(value) for name, value in headers.items())
    complete = (
        len(message.body) <= EVENT_BYTES_MAX and size <= HEADER_BYTES_MAX and is_json(headers)
    )
    body = message.body if complete else message.body[:EXCERPT_BYTES]
    identity = repr((message.queue, sorted(headers.items()))).encode(errors="surrogatepass")
    digest = blake2b(identity + message.body, digest_size=16).hexdigest()
    now = utc_now().isoformat(timespec="milliseconds")
    data = {
        "queue": message.queue,
        "headers": headers if complete else {},
        "bytes": len(message.body),
        "body": b64encode(body).decode(),
        "complete": complete,
    }
    return DeadLetter(
        # Not a fresh one: a redelivery must find that it is stored.
        id=digest,
        event=unreadable_event(digest, message.queue, now, data),
        reason=reason,
        attempts=delivery.attempt,
        at=now,
        to=destination_of(message.queue, None),
    )


def stand_in_event(delivery: EncodedDelivery) -> Event[Any]:
    """Make the event of that dead letter."""
    return unreadable_dead_letter(delivery, "").event


def original_message(dead_letter: DeadLetter) -> EncodedMessage:
    """Return the message of an unreadable dead letter; raises `Violated` if it has only a part."""
    data = dead_letter.event.raw
    if not data["complete"]:
        got = f"the first {EXCERPT_BYTES} of {data['bytes']}"
        issue = Issue("data.body", "the whole message", got)
        text = "redrive this message at the broker, or delete its dead letter"
        raise Violated(ConfigViolation(text, issue))
    return EncodedMessage(data["queue"], b64decode(data["body"]), data["headers"])
