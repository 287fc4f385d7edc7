"""Dead letters: written to, listed in and removed from a SQLite file."""

import sqlite3
from typing import Any, Final

from arvo.interpreters.delivery.codec import decode_dead_letter, encode_dead_letter
from arvo.interpreters.delivery.operations import DeadLetterQuery, dead_letter_key
from arvo.interpreters.ports.messages import DeadLetter


def dead_letter(connection: sqlite3.Connection, entry: DeadLetter) -> None:
    """Store a dead letter."""
    at, id_ = dead_letter_key(entry)
    connection.execute(
        "insert into dead_letter (id, at, subject, content) values (?, ?, ?, ?)",
        (id_, at, entry.event.subject, encode_dead_letter(entry)),
    )


def page(connection: sqlite3.Connection, query: DeadLetterQuery) -> tuple[DeadLetter, ...]:
    """List dead letters, oldest first."""
    conditions: list[str] = []
    values: list[Any] = []
    if query.subject is not None:
        conditions.append("subject = ?")
        values.append(query.subject)
    if query.after is not None:
        conditions.append("(at, id) > (?, ?)")
        values += dead_letter_key(query.after)
    where = f"where {' and '.join(conditions)}" if conditions else ""
    rows = connection.execute(f"{_CONTENTS} {where} {_OLDEST_FIRST}", (*values, query.limit))
    return tuple(decode_dead_letter(content) for (content,) in rows)


_CONTENTS: Final = "select content from dead_letter"
_OLDEST_FIRST: Final = "order by at, id limit ?"


def find(connection: sqlite3.Connection, id_: str) -> DeadLetter | None:
    """Read a dead letter, None if there is none of this id."""
    row = connection.execute(f"{_CONTENTS} where id = ?", (id_,)).fetchone()
    return None if row is None else decode_dead_letter(row[0])


def delete(connection: sqlite3.Connection, id_: str) -> bool:
    """Remove a dead letter; False if there is none of this id."""
    return bool(connection.execute("delete from dead_letter where id = ?", (id_,)).rowcount)
