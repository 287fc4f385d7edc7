"""Deliveries: what is under way in a SQLite file, and whose it is."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from arvo.interpreters.delivery.codec import (
    Row,
    destination_bytes,
    destination_of,
    event_bytes,
    event_of,
)
from arvo.interpreters.ports.backend import Message, key_of, queue_of


def put(
    connection: sqlite3.Connection, messages: Iterable[Message], now: int, owner: str | None
) -> list[Row]:
    """Add posts, and give those that *owner* has at once: nobody else works on their key."""
    owned: list[Row] = []
    for message in messages:
        key = key_of(message.to)
        mine = owner
        if owner is not None and key is not None:
            busy = connection.execute(_SOMEBODY_ELSES, (key, owner, now)).fetchone()
            mine = None if busy else owner
        cursor = connection.execute(
            _INSERT_DELIVERY,
            (
                queue_of(message.to),
                key,
                destination_bytes(message.to),
                event_bytes(message.event),
                now,
                mine,
            ),
        )
        if mine is not None:
            assert cursor.lastrowid is not None
            owned.append(Row(cursor.lastrowid, message, 1))
    return owned


_INSERT_DELIVERY: Final = """
insert into delivery (lane, key, destination, event, attempt, due, owner)
values (?, ?, ?, ?, 1, ?, ?)
"""
_SOMEBODY_ELSES: Final = """
select 1 from delivery
where key = ?1 and (owner <> ?2 or (owner is null and due <= ?3)) limit 1
"""


def claim(
    connection: sqlite3.Connection, owner: str, queues: Mapping[str, int], now: int
) -> list[Row]:
    """Take unowned deliveries of *lanes*, as many as each has room for, in order of each key."""
    taken: list[tuple[int, bytes, bytes, int]] = []
    for queue, room in queues.items():
        taken += connection.execute(_CLAIMABLE, (queue, now, owner, room)).fetchall()
    taken.sort()
    connection.executemany(
        "update delivery set owner = ? where id = ?", [(owner, row[0]) for row in taken]
    )
    return [
        Row(number, Message(event_of(event), destination_of(to)), attempt)
        for number, to, event, attempt in taken
    ]


_CLAIMABLE: Final = """
select id, destination, event, attempt from delivery as this
where lane = ?1 and owner is null and due <= ?2 and (
    key is null or not exists (
        select 1 from delivery as other
        where other.key = this.key and other.owner is not null and other.owner <> ?3
    )
)
order by id limit ?4
"""


def settle(connection: sqlite3.Connection, number: int, owner: str) -> bool:
    """Take a delivery off; False where *owner* has it no more."""
    done = connection.execute("delete from delivery where id = ? and owner = ?", (number, owner))
    return bool(done.rowcount)


def nack(connection: sqlite3.Connection, number: int, owner: str, attempt: int, due: int) -> bool:
    """Note that a delivery is to be tried again; False where *owner* has it no more."""
    done = connection.execute(
        "update delivery set attempt = ?, due = ? where id = ? and owner = ?",
        (attempt, due, number, owner),
    )
    return bool(done.rowcount)


def depth(connection: sqlite3.Connection, now: int) -> tuple[int, int, int]:
    """Count deliveries, those that are not due yet, and timers."""
    row: tuple[int, int, int] = connection.execute(
        "select count(*), coalesce(sum(due > ?), 0), (select count(*) from timer) from delivery",
        (now,),
    ).fetchone()
    return row


def count(connection: sqlite3.Connection) -> int:
    """Count deliveries."""
    number: int = connection.execute("select count(*) from delivery").fetchone()[0]
    return number


def is_busy(connection: sqlite3.Connection) -> bool:
    """Tell whether anything is under way."""
    return connection.execute("select 1 from delivery limit 1").fetchone() is not None


def is_claimable(connection: sqlite3.Connection, now: int) -> bool:
    """Tell whether there are deliveries that nobody has."""
    found = connection.execute(
        "select 1 from delivery where owner is null and due <= ? limit 1", (now,)
    )
    return found.fetchone() is not None
