"""Purge: delete expired rows from a Postgres schema, one batch at a time."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from arvo.interpreters.delivery.archive.file import ARCHIVE_ENTRIES_MAX, Archive
from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.delivery.retention import PURGE_BATCH_ROWS, Retention
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements import queries
from arvo.interpreters.reports.polled import STORED_SECONDS

# History entries that one batch deletes with their workflows, not counting those of the last
# workflow: one may have thousands.
ENTRIES_MAX: Final = 10_000


async def purge(connection: Connection, dsn: Dsn, retention: Retention, now: datetime) -> int:
    """Delete one batch of expired rows in a transaction; return the number of rows."""
    deleted = 0
    async with connection.transaction():
        # One process at a time is enough.
        lock = dsn.hash("(purge)")
        if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", lock):
            return 0
        if retention.inbox is not None:
            status = await connection.execute(
                dsn.sql(_INBOX), now - retention.inbox, PURGE_BATCH_ROWS
            )
            deleted += _row_count(status)
        if retention.history is not None:
            status = await connection.execute(
                dsn.sql(_HISTORY), now - retention.history, PURGE_BATCH_ROWS
            )
            deleted += _row_count(status)
        if retention.finished is not None:
            before = now - retention.finished
            if retention.archive is None:
                deleted += await connection.fetchval(
                    dsn.sql(_FINISHED), before, PURGE_BATCH_ROWS, ENTRIES_MAX
                )
            else:
                deleted += await _move(connection, dsn, retention.archive, before)
        await connection.execute(dsn.sql(_REPORTS), _STORED, PURGE_BATCH_ROWS)
        removed: int = await connection.fetchval(
            dsn.sql(_DEAD_LETTERS),
            retention.dead_letters_max,
            retention.oldest_dead_letter(to_milliseconds(now)),
            PURGE_BATCH_ROWS,
        )
    retention.log_removal(removed)
    return deleted + removed


async def _move(connection: Connection, dsn: Dsn, archive: Archive, before: datetime) -> int:
    """Delete finished workflows once the archive has them; return how many rows.

    The lock of the purge keeps the other processes from the archive, and those of the rows keep
    the next runs from beginning.
    """
    limits = before, PURGE_BATCH_ROWS, ARCHIVE_ENTRIES_MAX
    ids = [row["id"] for row in await connection.fetch(dsn.sql(_OLD_IDS), *limits)]
    if not ids:
        return 0
    workflows = await queries.archived(connection, dsn, ids, archive.postpone)
    # In a thread: it waits for the disk.
    if not workflows or not await asyncio.to_thread(archive.append, workflows.values()):
        return 0
    deleted: int = await connection.fetchval(dsn.sql(_MOVED), [*workflows])
    return deleted


_STORED: Final = timedelta(seconds=STORED_SECONDS)
# By keys from an array: planned without knowing how few they are, `in (...)` reads whole tables.
_INBOX: Final = """
delete from arvo.inbox where digest = any (array (
    select digest from arvo.inbox where at < $1 order by at limit $2 for update skip locked
))
"""
_HISTORY: Final = """
delete from arvo.history where (workflow, position) in (
    select workflow, position from arvo.history where at < $1 order by at limit $2
)
"""
_REPORTS: Final = """
delete from arvo.report where id = any (array (
    select id from arvo.report where at < now() - $1::interval order by at limit $2
    for update skip locked
))
"""
# One status at a time, oldest first, in the order of the index: otherwise all workflows are read
# when none has expired.
_OLD: Final = """
with candidate as materialized (
    select this.id, this.history_length, this.changed
    from (values ('done'), ('cancelled')) as over (status) cross join lateral (
        select id, history_length, changed from arvo.workflow
        where status = over.status and status in ('done', 'cancelled') and changed < $1
        order by changed limit $2 for update skip locked
    ) as this
), old as materialized (
    select id from (
        select id, sum(history_length) over (order by changed, id) - history_length as before
        from candidate
    ) as counted
    where before < $3 order by before limit $2
)
"""
_DELETED: Final = """
deleted_log as (
    delete from arvo.record_log where workflow = any (array (select id from old))
), deleted_history as (
    delete from arvo.history where workflow = any (array (select id from old)) returning 1
), deleted_workflow as (
    delete from arvo.workflow where id = any (array (select id from old)) returning 1
)
select (select count(*) from deleted_workflow) + (select count(*) from deleted_history)
"""
_FINISHED: Final = f"{_OLD}, {_DELETED}"
_OLD_IDS: Final = f"{_OLD} table old"
_MOVED: Final = f"with old as (select unnest($1::bigint[]) as id), {_DELETED}"

# Oldest first: those above the number, and those that are too old.
_DEAD_LETTERS: Final = """
with oldest as materialized (
    select id, at, row_number() over (order by at, id) as place from (
        select id, at from arvo.dead_letter order by at, id limit $3
    ) as first
), deleted as (
    delete from arvo.dead_letter where id = any (array (
        select id from oldest
        where at < $2 or place <= (select count(*) from arvo.dead_letter) - $1
    )) returning 1
)
select count(*) from deleted
"""


def _row_count(status: str) -> int:
    return int(status.rpartition(" ")[2])
