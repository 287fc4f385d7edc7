"""Timers: set by workflows in a SQLite file, and turned into deliveries when they are due."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from arvo.core.commit import PendingTimer
from arvo.interpreters.delivery.codec import (
    decode_destination,
    decode_event,
    encode_destination,
    encode_event,
    from_milliseconds,
    to_milliseconds,
)
from arvo.interpreters.delivery.operations import make_due_timer
from arvo.interpreters.ports.messages import Message, key_of, queue_of
from arvo.interpreters.ports.results import DueTimer
from arvo.interpreters.sqlite.connection.in_place import codec_of

# Timers fired in one transaction; the rest follows with the next poll.
FIRE_MAX: Final = 1_000


def schedule(
    connection: sqlite3.Connection, timers: Sequence[tuple[PendingTimer, Message]]
) -> None:
    """Set timers, each with the message that it delivers when it is due. One of an id that is set
    replaces that one.
    """
    codec = codec_of(connection)
    rows = [
        (
            timer.event.id,
            to_milliseconds(timer.due),
            queue_of(message.to),
            key_of(message.to),
            encode_destination(message.to),
            encode_event(timer.event, codec),
        )
        for timer, message in timers
    ]
    if rows:
        connection.executemany(_SCHEDULE, rows)


_SCHEDULE: Final = """
insert or replace into timer (id, due, queue, key, destination, event) values (?, ?, ?, ?, ?, ?)
"""


def clear(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Remove timers."""
    if ids:
        connection.executemany("delete from timer where id = ?", [(id_,) for id_ in ids])


def fire(connection: sqlite3.Connection, now: int) -> None:
    """Turn the timers that are due into unclaimed deliveries, oldest first."""
    connection.execute(_DELIVER, (now, FIRE_MAX))
    connection.execute(_DELETE, (now, FIRE_MAX))


# Both take the same timers: nothing changes between them.
_DELIVER: Final = """
insert into delivery (queue, key, destination, event, attempt, due, owner)
select queue, key, destination, event, 1, due, null from timer
where due <= ? order by due, id limit ?
"""
_DELETE: Final = """
delete from timer
where id in (select id from timer where due <= ? order by due, id limit ?)
"""


def page(
    connection: sqlite3.Connection, handler: str | None, after: DueTimer | None, limit: int
) -> tuple[DueTimer, ...]:
    """List timers, the next one first."""
    due, id_ = (-1, "") if after is None else (to_milliseconds(after.due), after.id)
    rows, codec = (
        connection.execute(_PAGE, (due, id_, handler, handler, limit)),
        codec_of(connection),
    )
    return tuple(
        make_due_timer(
            from_milliseconds(due),
            Message(decode_event(event, codec), decode_destination(destination)),
        )
        for due, destination, event in rows
    )


_PAGE: Final = """
select due, destination, event from timer
where (due, id) > (?, ?) and (? is null or queue = ?) order by due, id limit ?
"""


def next_due(connection: sqlite3.Connection) -> int | None:
    """Return the time at which the next timer is due, None if there is none."""
    due: int | None = connection.execute("select min(due) from timer").fetchone()[0]
    return due
