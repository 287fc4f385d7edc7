"""Dead letters: written to, listed in and removed from a SQLite file."""

import sqlite3
from typing import Any, Final

from arvo.interpreters.delivery.codec import decode_dead_letter, encode_dead_letter, to_milliseconds
from arvo.interpreters.delivery.operations import (
    DeadLetterQuery,
    dead_letter_key,
    group_key,
    make_group,
)
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import DeadLetterGroup
from arvo.interpreters.sqlite.connection.in_place import codec_of


def dead_letter(connection: sqlite3.Connection, entry: DeadLetter) -> None:
    """Store a dead letter."""
    at, id_ = dead_letter_key(entry)
    content = encode_dead_letter(entry, codec_of(connection))
    connection.execute(_INSERT, (id_, at, entry.event.subject, content, *group_key(entry)))


_INSERT: Final = """
insert into dead_letter (id, at, subject, content, cause, handler, type)
values (?, ?, ?, ?, ?, ?, ?)
"""


def page(connection: sqlite3.Connection, query: DeadLetterQuery) -> tuple[DeadLetter, ...]:
    """List dead letters, oldest first."""
    where, values = _select(query)
    rows = connection.execute(f"{_CONTENTS} {where} {_OLDEST_FIRST}", (*values, query.limit))
    codec = codec_of(connection)
    return tuple(decode_dead_letter(content, codec) for (content,) in rows)


def groups(connection: sqlite3.Connection, query: DeadLetterQuery) -> tuple[DeadLetterGroup, ...]:
    """Count dead letters in groups, the largest first."""
    where, values = _select(query)
    rows = connection.execute(f"{_NUMBERS} {where} {_LARGEST_FIRST}", (*values, query.limit))
    return tuple(make_group(*row) for row in rows)


def _select(query: DeadLetterQuery) -> tuple[str, list[Any]]:
    """Return the condition of a query, and its values."""
    columns = {
        "subject = ?": query.subject,
        "cause = ?": query.cause,
        "handler = ?": query.handler,
        "type = ?": query.type,
        "instr(cause, ?)": query.text,
        "at >= ?": None if query.since is None else to_milliseconds(query.since),
    }
    conditions = [condition for condition, value in columns.items() if value is not None]
    values: list[Any] = [value for value in columns.values() if value is not None]
    if query.after is not None:
        conditions.append("(at, id) > (?, ?)")
        values += dead_letter_key(query.after)
    return f"where {' and '.join(conditions)}" if conditions else "", values


_CONTENTS: Final = "select content from dead_letter"
_OLDEST_FIRST: Final = "order by at, id limit ?"
_NUMBERS: Final = (
    "select cause, handler, type, count(*) as number, min(at), max(at) from dead_letter"
)
_LARGEST_FIRST: Final = (
    "group by cause, handler, type order by number desc, cause, handler, type limit ?"
)


def find(connection: sqlite3.Connection, id_: str) -> DeadLetter | None:
    """Read a dead letter, None if there is none of this id."""
    row = connection.execute(f"{_CONTENTS} where id = ?", (id_,)).fetchone()
    return None if row is None else decode_dead_letter(row[0], codec_of(connection))


def delete(connection: sqlite3.Connection, id_: str) -> bool:
    """Remove a dead letter; False if there is none of this id."""
    return bool(connection.execute("delete from dead_letter where id = ?", (id_,)).rowcount)
