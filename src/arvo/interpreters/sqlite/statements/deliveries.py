"""Deliveries: the messages under way in a SQLite file, and the workers that own them."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from arvo.interpreters.delivery.codec import (
    StoredMessage,
    decode_destination,
    decode_event,
    encode_destination,
    encode_event,
)
from arvo.interpreters.ports.messages import Message, is_cancellation, key_of, queue_of


def send(
    connection: sqlite3.Connection, messages: Iterable[Message], now: int, owner: str | None
) -> list[StoredMessage]:
    """Add deliveries, and return those that *owner* owns at once.

    *owner* gets a delivery unless another worker owns one of the same key, or an unclaimed one
    holds it back. With *owner* None all of them stay unclaimed.
    """
    owned: list[StoredMessage] = []
    for message in messages:
        key = key_of(message.to)
        new_owner = owner
        if owner is not None and key is not None:
            blocking = connection.execute(_BLOCKING, (key, owner, now)).fetchone()
            new_owner = None if blocking else owner
        cursor = connection.execute(
            _INSERT,
            (
                queue_of(message.to),
                key,
                encode_destination(message.to),
                encode_event(message.event),
                now,
                new_owner,
                is_cancellation(message),
            ),
        )
        if new_owner is not None:
            assert cursor.lastrowid is not None
            owned.append(StoredMessage(cursor.lastrowid, message, 1))
    return owned


_INSERT: Final = """
insert into delivery (queue, key, destination, event, attempt, due, owner, cancels)
values (?, ?, ?, ?, 1, ?, ?, ?)
"""
_BLOCKING: Final = """
select 1 from delivery
where key = ? and (owner <> ? or (owner is null and (due <= ? or not deferred))) limit 1
"""


def claim(
    connection: sqlite3.Connection, worker_id: str, queues: Mapping[str, int], now: int
) -> list[StoredMessage]:
    """Claim unclaimed deliveries, up to the limit of each queue, and return them in order.

    Deliveries whose key has one that belongs to another worker are left out, and those behind an
    unclaimed one that was returned by `nack` and is not due.
    """
    claimed: list[tuple[int, bytes, bytes, int, int, bytes]] = []
    for queue, limit in queues.items():
        values = (queue, now, worker_id, now, limit)
        claimed += connection.execute(_CLAIMABLE, values).fetchall()
    claimed.sort()
    connection.executemany(
        "update delivery set owner = ?, deferred = 0 where id = ?",
        [(worker_id, row[0]) for row in claimed],
    )
    return [
        StoredMessage(
            id_, Message(decode_event(event), decode_destination(to)), attempt, deaths, progress
        )
        for id_, to, event, attempt, deaths, progress in claimed
    ]


_CLAIMABLE: Final = """
select id, destination, event, attempt, deaths, progress from delivery as this
where queue = ? and owner is null and due <= ? and (
    key is null or not exists (
        select 1 from delivery as other
        where other.key = this.key and (
            other.owner <> ? or (
                other.owner is null and other.due > ? and not other.deferred
                and other.id < this.id and other.queue = this.queue
            )
        )
    )
)
order by id limit ?
"""


def ack(connection: sqlite3.Connection, delivery_id: int, worker_id: str) -> bool:
    """Remove a delivery; False if *worker_id* no longer owns it."""
    done = connection.execute(
        "delete from delivery where id = ? and owner = ?", (delivery_id, worker_id)
    )
    return bool(done.rowcount)


def checkpoint(
    connection: sqlite3.Connection, delivery_id: int, worker_id: str, progress: bytes
) -> bool:
    """Store the results of a step's effects; False if *worker_id* no longer owns the delivery."""
    done = connection.execute(
        "update delivery set progress = ? where id = ? and owner = ?",
        (progress, delivery_id, worker_id),
    )
    return bool(done.rowcount)


def nack(
    connection: sqlite3.Connection, delivery_id: int, worker_id: str, attempt: int, due: int
) -> bool:
    """Set the next attempt of a delivery and its time; False if *worker_id* no longer owns it."""
    done = connection.execute(
        "update delivery set attempt = ?, due = ?, started = 0 where id = ? and owner = ?",
        (attempt, due, delivery_id, worker_id),
    )
    return bool(done.rowcount)


def defer(
    connection: sqlite3.Connection, delivery_id: int, worker_id: str, attempt: int, due: int
) -> bool:
    """As `nack`, but unclaimed: any worker may claim it when it is due, and the others of its key
    pass it until then.
    """
    done = connection.execute(
        "update delivery set attempt = ?, due = ?, owner = null, deferred = 1, started = 0"
        " where id = ? and owner = ?",
        (attempt, due, delivery_id, worker_id),
    )
    return bool(done.rowcount)


def mark_started(connection: sqlite3.Connection, delivery_id: int, worker_id: str) -> bool:
    """Mark that a worker processes a delivery; False if *worker_id* no longer owns it."""
    done = connection.execute(
        "update delivery set started = 1 where id = ? and owner = ?", (delivery_id, worker_id)
    )
    return bool(done.rowcount)


def release(connection: sqlite3.Connection, delivery_id: int, worker_id: str, due: int) -> None:
    """Make a delivery of *worker_id* available to all workers when it is *due*."""
    connection.execute(
        "update delivery set owner = null, due = ?, started = 0 where id = ? and owner = ?",
        (due, delivery_id, worker_id),
    )


def depth(connection: sqlite3.Connection, now: int) -> tuple[int, int, int]:
    """Count all deliveries, those that are not yet due, and the timers."""
    row: tuple[int, int, int] = connection.execute(
        "select count(*), coalesce(sum(due > ?), 0), (select count(*) from timer) from delivery",
        (now,),
    ).fetchone()
    return row


def count(connection: sqlite3.Connection) -> int:
    """Count all deliveries."""
    number: int = connection.execute("select count(*) from delivery").fetchone()[0]
    return number


def is_busy(connection: sqlite3.Connection) -> bool:
    """Return True if any delivery is under way."""
    return connection.execute("select 1 from delivery limit 1").fetchone() is not None


def is_claimable(connection: sqlite3.Connection, now: int) -> bool:
    """Return True if any delivery is due and unclaimed."""
    row = connection.execute(
        "select 1 from delivery where owner is null and due <= ? limit 1", (now,)
    ).fetchone()
    return row is not None
