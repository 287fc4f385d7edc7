"""Timers: set by workflows in a SQLite file, and turned into deliveries when they are due."""

import sqlite3
from typing import Final

from arvo.core.commit import PendingTimer
from arvo.interpreters.delivery.codec import encode_destination, encode_event, to_milliseconds
from arvo.interpreters.ports.messages import Message, key_of, queue_of

# Timers fired in one transaction; the rest follows with the next poll.
FIRE_MAX: Final = 1_000


def schedule(connection: sqlite3.Connection, timer: PendingTimer, message: Message) -> None:
    """Set a timer that delivers *message* when it is due; it replaces a timer of the same id."""
    connection.execute(
        "insert or replace into timer (id, due, queue, key, destination, event)"
        " values (?, ?, ?, ?, ?, ?)",
        (
            timer.event.id,
            to_milliseconds(timer.due),
            queue_of(message.to),
            key_of(message.to),
            encode_destination(message.to),
            encode_event(timer.event),
        ),
    )


def clear(connection: sqlite3.Connection, id_: str) -> None:
    """Remove a timer."""
    connection.execute("delete from timer where id = ?", (id_,))


def fire(connection: sqlite3.Connection, now: int) -> None:
    """Turn the timers that are due into unclaimed deliveries, oldest first."""
    due = connection.execute(
        "select id from timer where due <= ? order by due limit ?", (now, FIRE_MAX)
    ).fetchall()
    connection.executemany(
        "insert into delivery (queue, key, destination, event, attempt, due, owner)"
        " select queue, key, destination, event, 1, due, null from timer where id = ?",
        due,
    )
    connection.executemany("delete from timer where id = ?", due)


def next_due(connection: sqlite3.Connection) -> int | None:
    """Return the time at which the next timer is due, None if there is none."""
    due: int | None = connection.execute("select min(due) from timer").fetchone()[0]
    return due
