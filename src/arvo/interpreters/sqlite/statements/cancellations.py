"""Cancellations: those under way for a workflow, found by the commits of its other events."""

import sqlite3
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.interpreters.delivery.codec import consumption_digest, decode_event
from arvo.interpreters.ports.messages import Delivery, find_cancellation, key_of, queue_of


def pending_cancellation(connection: sqlite3.Connection, delivery: Delivery) -> Event[Any] | None:
    """Return the oldest cancellation that a delivery has to yield to."""
    queue, key = queue_of(delivery.message.to), key_of(delivery.message.to)
    rows = connection.execute(_WAITING, (key, queue))
    events = (decode_event(content) for (content,) in rows)

    def is_consumed(event: Event[Any]) -> bool:
        digest = consumption_digest(queue, event)
        return connection.execute(CONSUMED, (digest,)).fetchone() is not None

    return find_cancellation(events, delivery, is_consumed)


_WAITING: Final = "select event from delivery where key = ? and cancels and queue = ? order by id"
CONSUMED: Final = "select content from inbox where digest = ?"
