"""Dead letters: written to, listed in and removed from a SQLite file."""

import sqlite3

from arvo.interpreters.delivery.codec import decode_dead_letter, encode_dead_letter
from arvo.interpreters.ports.messages import DeadLetter


def dead_letter(connection: sqlite3.Connection, entry: DeadLetter) -> None:
    """Store a dead letter."""
    connection.execute(
        "insert into dead_letter (id, at, number, content)"
        " select ?, ?, coalesce(max(number), 0) + 1, ? from dead_letter",
        (entry.id, entry.at, encode_dead_letter(entry)),
    )


def dead_letters(connection: sqlite3.Connection) -> tuple[DeadLetter, ...]:
    """List the dead letters, oldest first."""
    rows = connection.execute("select content from dead_letter order by number")
    return tuple(decode_dead_letter(content) for (content,) in rows)


def delete(connection: sqlite3.Connection, id_: str) -> bool:
    """Remove a dead letter; False if there is none of this id."""
    return bool(connection.execute("delete from dead_letter where id = ?", (id_,)).rowcount)
