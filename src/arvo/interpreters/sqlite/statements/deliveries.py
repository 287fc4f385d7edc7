"""Deliveries: the messages under way in a SQLite file, and the workers that own them."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from arvo.interpreters.delivery.claims import token_of
from arvo.interpreters.delivery.codec import (
    StoredMessage,
    encode_destination,
    encode_event,
    stored_message,
)
from arvo.interpreters.ports.messages import (
    Delivery,
    Message,
    is_cancellation,
    key_of,
    queue_of,
)
from arvo.interpreters.sqlite.connection.in_place import codec_of
from arvo.interpreters.sqlite.statements.values import select


def delivery_id(delivery: Delivery) -> int:
    """Return the id of the row of a delivery."""
    return token_of(delivery).delivery_id


def send(
    connection: sqlite3.Connection,
    messages: Iterable[Message],
    now: int,
    owner: str | None,
    unowned: Collection[str] = (),
) -> list[StoredMessage]:
    """Add deliveries, and return those that *owner* owns at once.

    *owner* gets a delivery unless another worker owns one of the same key, or an unclaimed one
    holds it back. With *owner* None all of them stay unclaimed, and those of the *unowned* queues
    in any case.
    """
    addressed = [(key_of(message.to), message) for message in messages]
    if not addressed:
        return []
    blocked = set[str]()
    if owner is not None:
        # What is added here blocks none of the messages behind it: it has the same owner.
        keys = list({key: None for key, _ in addressed if key is not None})
        blocked = {key for (key,) in select(connection, _BLOCKED, keys, (owner, now))}
    # As SQLite numbers the rows, but known before they are written.
    (last_id,) = connection.execute("select coalesce(max(id), 0) from delivery").fetchone()
    rows = []
    owned: list[StoredMessage] = []
    codec = codec_of(connection)
    for id_, (key, message) in enumerate(addressed, last_id + 1):
        queue = queue_of(message.to)
        new_owner = None if key in blocked or queue in unowned else owner
        event, destination = encode_event(message.event, codec), encode_destination(message.to)
        cancels = is_cancellation(message)
        rows.append((id_, queue, key, destination, event, now, new_owner, cancels))
        if new_owner is not None:
            owned.append(StoredMessage(id_, message, 1))
    connection.executemany(_INSERT, rows)
    return owned


_INSERT: Final = """
insert into delivery (id, queue, key, destination, event, attempt, due, owner, cancels)
values (?, ?, ?, ?, ?, 1, ?, ?, ?)
"""
# Not `owner <> ?1`: that reads all deliveries of the key that the owner has, perhaps thousands.
_BLOCKED: Final = """
select column1 from ({values})
where exists (select 1 from delivery where key = column1 and owner < ?1)
    or exists (select 1 from delivery where key = column1 and owner > ?1)
    or exists (
        select 1 from delivery
        where key = column1 and owner is null and (due <= ?2 or not deferred)
    )
"""


def claim(
    connection: sqlite3.Connection, worker_id: str, queues: Mapping[str, int], now: int
) -> list[StoredMessage]:
    """Claim unclaimed deliveries, up to the limit of each queue, and return them in order.

    Deliveries whose key has one that belongs to another worker are left out, and those behind an
    unclaimed one that was returned by `nack` and is not due.
    """
    claimed: list[tuple[int, bytes, bytes, int, int, bytes]] = []
    filled = {queue for (queue,) in connection.execute(_FILLED)}
    for queue, limit in queues.items():
        if queue not in filled:
            continue
        values = {"queue": queue, "now": now, "worker": worker_id, "limit": limit}
        claimed += connection.execute(_CLAIMABLE, values).fetchall()
    claimed.sort()
    connection.executemany(
        "update delivery set owner = ?, deferred = 0 where id = ?",
        [(worker_id, row[0]) for row in claimed],
    )
    codec = codec_of(connection)
    return [stored_message(row, codec) for row in claimed]


# Each step is one look into the index, so its cost does not grow with the rows.
_FILLED: Final = """
with recursive filled (queue) as (
    select min(queue) from delivery where owner is null
    union all
    select (select min(queue) from delivery where owner is null and queue > filled.queue)
    from filled where filled.queue is not null
)
select queue from filled where queue is not null
"""
# `+` keeps SQLite from an index that reads the older deliveries of all keys.
_CLAIMABLE: Final = """
select id, destination, event, attempt, deaths, progress from delivery as this
where queue = :queue and owner is null and due <= :now and (
    key is null or not (
        exists (select 1 from delivery where key = this.key and owner < :worker)
        or exists (select 1 from delivery where key = this.key and owner > :worker)
        or exists (
            select 1 from delivery as other
            where other.key = this.key and other.owner is null and other.id < this.id
                and other.due > :now and not other.deferred and +other.queue = this.queue
        )
    )
)
order by id limit :limit
"""


def ack(connection: sqlite3.Connection, delivery_id: int, worker_id: str) -> bool:
    """Remove a delivery; False if *worker_id* no longer owns it."""
    done = connection.execute(
        "delete from delivery where id = ? and owner = ?", (delivery_id, worker_id)
    )
    return bool(done.rowcount)


def is_owned(connection: sqlite3.Connection, delivery_id: int, worker_id: str) -> bool:
    """Return whether *worker_id* still owns a delivery."""
    statement = "select 1 from delivery where id = ? and owner = ?"
    return connection.execute(statement, (delivery_id, worker_id)).fetchone() is not None


def remove(connection: sqlite3.Connection, delivery_ids: Sequence[int]) -> None:
    """Remove deliveries that the caller owns."""
    connection.executemany("delete from delivery where id = ?", [(id_,) for id_ in delivery_ids])


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


def release(connection: sqlite3.Connection, delivery_id: int, worker_id: str, due: int) -> bool:
    """Make a delivery of *worker_id* available to all workers when it is *due*; False if it no
    longer owns it.

    The others of its key that this worker owns as well: they wait behind it in every process.
    """
    released = connection.execute(
        "update delivery set owner = null, due = ?, started = 0 where id = ? and owner = ?",
        (due, delivery_id, worker_id),
    )
    if released.rowcount:
        give_back_followers(connection, delivery_id, worker_id)
    return bool(released.rowcount)


def give_back_followers(connection: sqlite3.Connection, delivery_id: int, worker_id: str) -> None:
    """Make those that *worker_id* owns behind a delivery of their key available to all workers."""
    connection.execute(
        "update delivery set owner = null"
        " where key = (select key from delivery where id = ?) and owner = ? and id > ?",
        (delivery_id, worker_id, delivery_id),
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
