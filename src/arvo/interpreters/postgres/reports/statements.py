"""Statements: what effects report, in rows that the readers of a workflow poll."""

from datetime import timedelta
from typing import Final

from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.reports.polled import READER_SECONDS, STORED_MAX

_READER: Final = timedelta(seconds=READER_SECONDS)


async def renew(connection: Connection, dsn: Dsn, subject: bytes) -> None:
    """Register a reader of a subject, and remove those that are gone."""
    await connection.execute(dsn.sql(_EXPIRED))
    await connection.execute(dsn.sql(_RENEW), subject, _READER)


async def newest(connection: Connection, dsn: Dsn) -> int:
    """Return the id of the newest batch, 0 if there is none: a later one has a higher id."""
    statement = dsn.sql("select coalesce(max(id), 0) from arvo.report")
    id_: int = await connection.fetchval(statement)
    return id_


async def after(
    connection: Connection, dsn: Dsn, subject: bytes, id_: int
) -> list[tuple[int, bytes]]:
    """Return the batches of a subject behind an id, oldest first."""
    rows = await connection.fetch(dsn.sql(_AFTER), subject, id_, STORED_MAX)
    return [(row["id"], row["content"]) for row in rows]


async def add(
    connection: Connection,
    dsn: Dsn,
    subject: bytes,
    batch: bytes,
    owned: tuple[int, int],
) -> None:
    """Store a batch if there is a reader, and delete what is too much for its subject.

    *owned*: the id of a delivery, and the worker without which nothing is stored.
    """
    if await connection.fetchval(dsn.sql(_ADD), subject, batch, *owned):
        await connection.execute(dsn.sql(_EXCESS), subject, STORED_MAX)


# The row that another process deletes is not waited for, so two deletions never wait for each
# other.
_EXPIRED: Final = """
delete from arvo.report_reader where subject = any (array (
    select subject from arvo.report_reader where until < now() for update skip locked
))
"""
_RENEW: Final = """
insert into arvo.report_reader (subject, until) values ($1, now() + $2)
on conflict (subject) do update set until = excluded.until
"""
_AFTER: Final = """
select id, content from arvo.report where subject = $1 and id > $2 order by id limit $3
"""
_ADD: Final = """
insert into arvo.report (subject, content)
select $1, $2
where exists (select 1 from arvo.report_reader where subject = $1 and until >= now())
    and exists (select 1 from arvo.delivery where id = $3 and owner = $4)
returning id
"""
_EXCESS: Final = """
delete from arvo.report where subject = $1 and id <= (
    select id from arvo.report where subject = $1 order by id desc limit 1 offset $2
)
"""
