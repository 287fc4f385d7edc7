"""Dead letters: written to, listed in and removed from a Postgres schema."""

from collections.abc import Sequence
from typing import Final

from arvo.interpreters.delivery.codec import decode_dead_letter
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.columns import columns


async def dead_letter(connection: Connection, dsn: Dsn, rows: Sequence[tuple[str, bytes]]) -> None:
    """Store dead letters: of each its id and content."""
    if rows:
        await connection.execute(dsn.sql(_INSERT), *columns(rows, 2))


_INSERT: Final = """
insert into arvo.dead_letter (id, content) select * from unnest($1::text[], $2::bytea[])
"""


async def dead_letters(connection: Connection, dsn: Dsn) -> tuple[DeadLetter, ...]:
    """List the dead letters, oldest first."""
    rows = await connection.fetch(dsn.sql("select content from arvo.dead_letter order by number"))
    return tuple(decode_dead_letter(row["content"]) for row in rows)


async def delete(connection: Connection, dsn: Dsn, id_: str) -> bool:
    """Remove a dead letter; False if there is none of this id."""
    status = await connection.execute(dsn.sql("delete from arvo.dead_letter where id = $1"), id_)
    return status != "DELETE 0"
