"""Parcel: a message as brokers with headers carry it, so that others read a plain CloudEvent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.violations.violation import Violated
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage

# CloudEvents 1.0, structured mode: the whole event is the body, in JSON.
CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"

ADDRESS: Final = "arvo-address"
KEY: Final = "arvo-key"
DUE: Final = "arvo-due"
ATTEMPT: Final = "arvo-attempt"
REASON: Final = "arvo-reason"
# Of a reason that goes along as a header; the whole of it is in the dead letter.
REASON_CHARACTERS_MAX: Final = 500


@final
@frozen
class Parcel:
    """The event as JSON, and beside it what is ours: address, key, due, attempt."""

    body: bytes
    headers: dict[str, str]


class Unreadable(ValueError):
    """What came is no message: the text says why. It is put aside, for it would never be one."""


def packed(message: EncodedMessage, attempt: int = 1) -> Parcel:
    """Pack a message that is to be handed out for the *attempt*-th time."""
    headers = {ADDRESS: message.address, ATTEMPT: str(attempt)}
    if message.key is not None:
        headers[KEY] = message.key
    if message.due is not None:
        headers[DUE] = message.due.isoformat()
    return Parcel(message.event.to_json().encode(), headers)


def unpacked(address: str, body: bytes, headers: Mapping[str, str], token: Any) -> EncodedDelivery:
    """Read a message that waited in the queue of *address*; raises `Unreadable`.

    Headers may be missing, for other programs publish plain events. The event is bounded before it
    is parsed.
    """
    try:
        due = headers.get(DUE)
        message = EncodedMessage(
            address=address,
            event=Event.parse(body),
            key=headers.get(KEY),
            due=None if due is None else datetime.fromisoformat(due),
        )
        attempt = int(headers.get(ATTEMPT, "1"))
    except (Violated, ValueError) as error:
        raise Unreadable(f"this is no message of ours and no CloudEvent: {error}") from error
    if attempt < 1 or (message.due is not None and message.due.tzinfo is None):
        said = f"{ATTEMPT} {attempt}, {DUE} {due}"
        raise Unreadable(f"an attempt from 1 and a time with an offset were expected, got {said}")
    return EncodedDelivery(message, attempt, token)
