"""Pages: what an operator reads in a Postgres schema, a page at a time."""

from datetime import datetime
from typing import Final

import asyncpg

from arvo.core.history import HistoryEntry
from arvo.core.record import STATUSES, Record, Status
from arvo.interpreters.delivery.codec import event_of, letter_of, record_of
from arvo.interpreters.ports.backend import DeadLetter, StoredWorkflow
from arvo.interpreters.postgres.connection.dsn import Address, Link


async def load(connection: Link, address: Address, subject: str) -> Record | None:
    """Read the record of a workflow."""
    row = await connection.fetchrow(address.sql(f"{_WORKFLOWS} where subject = $1"), subject)
    return None if row is None else _kept(row).record


async def workflow(connection: Link, address: Address, subject: str) -> StoredWorkflow | None:
    """Give one workflow."""
    row = await connection.fetchrow(address.sql(f"{_WORKFLOWS} where subject = $1"), subject)
    return None if row is None else _kept(row)


async def workflows(
    connection: Link,
    address: Address,
    *,
    status: Status | None,
    handler: str | None,
    unchanged_since: datetime | None,
    after: StoredWorkflow | None,
    limit: int,
) -> tuple[StoredWorkflow, ...]:
    """List workflows, the one that changed last first."""
    wheres: list[str] = []
    values: list[object] = []

    def value(given: object) -> str:
        values.append(given)
        return f"${len(values)}"

    if handler is not None:
        wheres.append(f"handler = {value(handler)}")
    if unchanged_since is not None:
        wheres.append(f"changed < {value(unchanged_since)}")
    if after is not None:
        earlier = f"{value(after.changed)}, {value(after.record.subject)}"
        wheres.append(f"(changed, subject) < ({earlier})")
    found: list[asyncpg.Record] = []
    limited = value(limit)
    # One status at a time, each a constant: that is what the indexes are made for.
    for each in STATUSES if status is None else (status,):
        assert each in STATUSES
        where = " and ".join((f"status = '{each}'", *wheres))
        statement = (
            f"{_WORKFLOWS} where {where} order by changed desc, subject desc limit {limited}"
        )
        found += await connection.fetch(address.sql(statement), *values)
    found.sort(key=lambda row: (row["changed"], row["subject"].encode()), reverse=True)
    return tuple(map(_kept, found[:limit]))


# The record and its journal as of one moment.
_WORKFLOWS: Final = """
select record, began, changed, subject, (
    select array_agg(line order by position) from arvo.journal where workflow = workflow.id
) as journal
from arvo.workflow
"""


def _kept(row: asyncpg.Record) -> StoredWorkflow:
    return StoredWorkflow(
        record=record_of(row["record"], row["journal"] or []),
        began=row["began"],
        changed=row["changed"],
    )


async def history(
    connection: Link, address: Address, subject: str, before: int | None, limit: int
) -> tuple[HistoryEntry, ...]:
    """Give the newest lines of a workflow's history, in order."""
    rows = await connection.fetch(address.sql(_HISTORY), subject, before, limit)
    return tuple(map(_entry, reversed(rows)))


_HISTORY: Final = """
select position, revision, kind, at, event from arvo.history
where workflow = (select id from arvo.workflow where subject = $1)
    and position < coalesce($2::bigint, 9223372036854775807)
order by position desc limit $3
"""


def _entry(row: asyncpg.Record) -> HistoryEntry:
    amended = row["kind"] == "amended"
    return HistoryEntry(
        position=row["position"],
        revision=row["revision"],
        kind=row["kind"],
        at=row["at"],
        event=None if amended else event_of(row["event"]),
        record=record_of(row["event"], None) if amended else None,
    )


async def letters(connection: Link, address: Address) -> tuple[DeadLetter, ...]:
    """Give the dead letters, oldest first."""
    rows = await connection.fetch(address.sql("select letter from arvo.letter order by number"))
    return tuple(letter_of(row["letter"]) for row in rows)
