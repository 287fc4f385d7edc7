"""Unreadable: the event that stands for a message which cannot be decoded."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.core.events.uri import encode_uri

# Its type. No handler has it as its address.
UNREADABLE: Final = "sys.arvo.unreadable"
SOURCE: Final = "arvo.broker"


def unreadable_event(id_: str, queue: str, time: str, data: Mapping[str, Any]) -> Event[Any]:
    """Make the event for a message of a queue, with the message as its data.

    That is `{queue, headers, bytes, body, complete}`: *body* is base64, *complete* says whether it
    is the whole message. Its dead letter has the id of the event.
    """
    return Event(
        id=id_,
        source=SOURCE,
        type=UNREADABLE,
        subject=queue,
        to=encode_uri(queue),
        time=time,
        data=data,
    )


def stored_event(id_: str, queue: str, time: str, content: bytes) -> Event[Any]:
    """Make the event for the text of an event in a database."""
    body = b64encode(content).decode()
    data = {"queue": queue, "headers": {}, "bytes": len(content), "body": body, "complete": True}
    return unreadable_event(id_, queue, time, data)


def is_unreadable(event: Event[Any], dead_letter_id: str) -> bool:
    """Return True for the event of a dead letter that stands for a message.

    The id of any other dead letter is fresh, so no sender can have an event taken for one of these.
    """
    return event.type == UNREADABLE and event.source == SOURCE and event.id == dead_letter_id


def original_content(event: Event[Any]) -> bytes:
    """Return the text that an event stands for."""
    return b64decode(event.raw["body"])
