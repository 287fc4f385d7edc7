"""Dead letters: written to, listed in and removed from a Postgres schema."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

from arvo.interpreters.delivery.codec import (
    decode_dead_letter,
    encode_dead_letter,
    to_milliseconds,
)
from arvo.interpreters.delivery.operations import (
    DeadLetterQuery,
    dead_letter_key,
    group_key,
    make_group,
)
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import DeadLetterGroup
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.columns import columns

# Id, time in milliseconds, digest of the subject, content; cause, handler, type.
DeadLetterRow: TypeAlias = tuple[str, int, bytes, bytes, str, str, str]
DEAD_LETTER_CONTENT: Final = 3


def dead_letter_rows(dead_letters: Sequence[DeadLetter], dsn: Dsn) -> tuple[DeadLetterRow, ...]:
    """Encode dead letters."""
    return tuple(
        (
            entry.id,
            dead_letter_key(entry)[0],
            subject_digest(entry.event.subject),
            encode_dead_letter(entry, dsn.codec),
            *group_key(entry),
        )
        for entry in dead_letters
    )


async def dead_letter(connection: Connection, dsn: Dsn, rows: Sequence[DeadLetterRow]) -> None:
    """Store dead letters."""
    if rows:
        await connection.execute(dsn.sql(_INSERT), *columns(rows, 7))


_INSERT: Final = """
insert into arvo.dead_letter (id, at, subject, content, cause, handler, type)
select * from unnest(
    $1::text[], $2::bigint[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[]
)
"""


async def page(
    connection: Connection, dsn: Dsn, query: DeadLetterQuery
) -> Callable[[], tuple[DeadLetter, ...]]:
    """List dead letters, oldest first; decoded without the connection."""
    where, values = _select(query)
    rows = await connection.fetch(dsn.sql(f"{_CONTENTS} {where} {_OLDEST_FIRST}"), *values)
    return lambda: tuple(decode_dead_letter(row["content"], dsn.codec) for row in rows)


async def groups(
    connection: Connection, dsn: Dsn, query: DeadLetterQuery
) -> tuple[DeadLetterGroup, ...]:
    """Count dead letters in groups, the largest first."""
    where, values = _select(query)
    rows = await connection.fetch(dsn.sql(f"{_NUMBERS} {where} {_LARGEST_FIRST}"), *values)
    return tuple(make_group(*row) for row in rows)


def _select(query: DeadLetterQuery) -> tuple[str, list[Any]]:
    """Return the condition of a query, and its values; the first one is the limit."""
    columns = {
        "subject = ": None if query.subject is None else subject_digest(query.subject),
        "cause = ": query.cause,
        "handler = ": query.handler,
        "type = ": query.type,
        "at >= ": None if query.since is None else to_milliseconds(query.since),
    }
    conditions: list[str] = []
    values: list[Any] = [query.limit]
    for condition, value in columns.items():
        if value is not None:
            values.append(value)
            conditions.append(f"{condition}${len(values)}")
    if query.text is not None:
        values.append(query.text)
        conditions.append(f"position(${len(values)} in cause) > 0")
    if query.after is not None:
        values += dead_letter_key(query.after)
        conditions.append(f"(at, id) > (${len(values) - 1}, ${len(values)})")
    return f"where {' and '.join(conditions)}" if conditions else "", values


_CONTENTS: Final = "select content from arvo.dead_letter"
_OLDEST_FIRST: Final = "order by at, id limit $1"
_NUMBERS: Final = "select cause, handler, type, count(*), min(at), max(at) from arvo.dead_letter"
_LARGEST_FIRST: Final = (
    "group by cause, handler, type order by count(*) desc, cause, handler, type limit $1"
)


async def find(connection: Connection, dsn: Dsn, id_: str) -> Callable[[], DeadLetter | None]:
    """Read a dead letter, None if there is none of this id; decoded without the connection."""
    row = await connection.fetchrow(dsn.sql(f"{_CONTENTS} where id = $1"), id_)
    return lambda: None if row is None else decode_dead_letter(row["content"], dsn.codec)


async def delete(connection: Connection, dsn: Dsn, id_: str) -> bool:
    """Remove a dead letter; False if there is none of this id."""
    status = await connection.execute(dsn.sql("delete from arvo.dead_letter where id = $1"), id_)
    return status != "DELETE 0"


def subject_digest(subject: str) -> bytes:
    """Return the digest of a subject, which may have any length."""
    return sha256(subject.encode(errors="surrogatepass")).digest()
