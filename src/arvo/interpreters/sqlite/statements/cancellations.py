"""Cancellations: those under way for a workflow, found by the commits of its other events."""

import sqlite3
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.interpreters.delivery.codec import consumption_digest, decode_waiting
from arvo.interpreters.ports.messages import Delivery, find_cancellation, key_of, queue_of
from arvo.interpreters.sqlite.connection.in_place import codec_of


def pending_cancellation(connection: sqlite3.Connection, delivery: Delivery) -> Event[Any] | None:
    """Return the oldest cancellation that a delivery has to yield to."""
    queue, key = queue_of(delivery.message.to), key_of(delivery.message.to)
    rows = connection.execute(_WAITING, (key, queue))
    codec = codec_of(connection)
    waiting = (decode_waiting(content, delivery.message.to, codec) for (content,) in rows)
    # Its own delivery shows what becomes of one that cannot be decoded.
    events = (message.event for message in waiting if not message.unreadable)

    def is_consumed(event: Event[Any]) -> bool:
        digest = consumption_digest(queue, event)
        return connection.execute(CONSUMED, (digest,)).fetchone() is not None

    return find_cancellation(events, delivery, is_consumed)


_WAITING: Final = "select event from delivery where key = ? and cancels and queue = ? order by id"
CONSUMED: Final = "select content from inbox where digest = ?"
