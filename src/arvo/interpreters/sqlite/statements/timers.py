"""Timers: what workflows wait for in a SQLite file, until it is under way."""

import sqlite3
from typing import Final

from arvo.core.commit import PendingTimer
from arvo.interpreters.delivery.codec import destination_bytes, event_bytes, milliseconds
from arvo.interpreters.ports.backend import Message, key_of, queue_of

# Timers that come due in one tick; the rest follows in the next.
DUE_MAX: Final = 1_000


def arm(connection: sqlite3.Connection, timer: PendingTimer, message: Message) -> None:
    """Set a timer that hands out a post when it is due; one that is set again counts from now."""
    connection.execute(
        "insert or replace into timer (id, due, lane, key, destination, event)"
        " values (?, ?, ?, ?, ?, ?)",
        (
            timer.event.id,
            milliseconds(timer.due),
            queue_of(message.to),
            key_of(message.to),
            destination_bytes(message.to),
            event_bytes(timer.event),
        ),
    )


def fire(connection: sqlite3.Connection, now: int) -> None:
    """Make deliveries of the timers that are due."""
    due = connection.execute(
        "select id from timer where due <= ? order by due limit ?", (now, DUE_MAX)
    ).fetchall()
    connection.executemany(
        "insert into delivery (lane, key, destination, event, attempt, due, owner)"
        " select lane, key, destination, event, 1, due, null from timer where id = ?",
        due,
    )
    connection.executemany("delete from timer where id = ?", due)


def next_due(connection: sqlite3.Connection) -> int | None:
    """Say when the next timer is due."""
    due: int | None = connection.execute("select min(due) from timer").fetchone()[0]
    return due
