"""Cancellations: those under way for workflows, found by the commits of their other events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.engine.step.route import ToCaller
from arvo.interpreters.delivery.codec import consumption_digest, decode_waiting
from arvo.interpreters.ports.messages import Delivery, find_cancellation, key_of, queue_of
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn

# The cancellations that wait, oldest first, by the hash of their ordering key.
Waiting = Mapping[int, Sequence[Event[Any]]]


async def pending_cancellation(
    connection: Connection, dsn: Dsn, delivery: Delivery
) -> Event[Any] | None:
    """Return the oldest cancellation that a delivery has to yield to."""
    key = key_of(delivery.message.to)
    if key is None:
        return None
    hashed = dsn.hash(key)
    rows = await connection.fetch(dsn.sql(_WAITING), hashed)
    waiting = {hashed: decode_cancellations([row["event"] for row in rows], dsn)}
    consumed = await consumed_cancellations(connection, dsn, waiting)
    return choose(waiting[hashed], delivery, consumed)


_WAITING: Final = "select event from arvo.delivery where key = $1 and cancels order by id"


def decode_cancellations(contents: Iterable[bytes], dsn: Dsn) -> list[Event[Any]]:
    """Decode cancellations that wait.

    One that cannot be decoded is left out: its own delivery shows what becomes of it.
    """
    to = ToCaller("")
    messages = (decode_waiting(content, to, dsn.codec) for content in contents)
    return [message.event for message in messages if not message.unreadable]


async def consumed_cancellations(
    connection: Connection, dsn: Dsn, waiting: Waiting
) -> frozenset[bytes]:
    """Return the digests of those that their workflow has consumed already."""
    events = [event for each in waiting.values() for event in each]
    if not events:
        return frozenset()
    rows = await connection.fetch(dsn.sql(CONSUMED), [*map(_digest, events)])
    return frozenset(row["digest"] for row in rows)


def choose(
    events: Iterable[Event[Any]], delivery: Delivery, consumed: frozenset[bytes]
) -> Event[Any] | None:
    """Return the first of *events* that a delivery has to yield to."""
    queue, key = queue_of(delivery.message.to), key_of(delivery.message.to)
    # Two keys may have the same hash.
    own = (event for event in events if (event.to, event.subject) == (queue, key))
    return find_cancellation(own, delivery, lambda event: _digest(event) in consumed)


def _digest(event: Event[Any]) -> bytes:
    return consumption_digest(event.to or "", event)


CONSUMED: Final = "select digest, content from arvo.inbox where digest = any($1::bytea[])"
