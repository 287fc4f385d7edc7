"""Queries: records, workflows and histories, read from a Postgres schema."""

from typing import Final

import asyncpg

from arvo.core.history import HistoryEntry
from arvo.core.record import STATUSES, Record
from arvo.interpreters.delivery.codec import decode_event, decode_record
from arvo.interpreters.delivery.operations import WorkflowQuery
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn


async def load(connection: Connection, dsn: Dsn, subject: str) -> Record | None:
    """Read the record of a workflow, None if there is none."""
    stored = await workflow(connection, dsn, subject)
    return None if stored is None else stored.record


async def workflow(connection: Connection, dsn: Dsn, subject: str) -> StoredWorkflow | None:
    """Read one workflow as `workflows` would list it, None if there is none."""
    row = await connection.fetchrow(dsn.sql(f"{_WORKFLOWS} where subject = $1"), subject)
    return None if row is None else _stored_workflow(row)


async def workflows(
    connection: Connection, dsn: Dsn, query: WorkflowQuery
) -> tuple[StoredWorkflow, ...]:
    """List the workflows that match, the most recently changed first."""
    conditions: list[str] = []
    values: list[object] = []

    def parameter(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    if query.handler is not None:
        conditions.append(f"handler = {parameter(query.handler)}")
    if query.unchanged_since is not None:
        conditions.append(f"changed < {parameter(query.unchanged_since)}")
    if query.after is not None:
        last = f"{parameter(query.after.changed)}, {parameter(query.after.record.subject)}"
        conditions.append(f"(changed, subject) < ({last})")
    rows: list[asyncpg.Record] = []
    limit = parameter(query.limit)
    # One query for each status, as a constant: only then are the partial indexes used.
    for status in STATUSES if query.status is None else (query.status,):
        assert status in STATUSES
        where = " and ".join((f"status = '{status}'", *conditions))
        statement = f"{_WORKFLOWS} where {where} order by changed desc, subject desc limit {limit}"
        rows += await connection.fetch(dsn.sql(statement), *values)
    rows.sort(key=lambda row: (row["changed"], row["subject"].encode()), reverse=True)
    return tuple(map(_stored_workflow, rows[: query.limit]))


# The record and its journal in one snapshot.
_WORKFLOWS: Final = """
select record, began, changed, subject, (
    select array_agg(line order by position) from arvo.journal where workflow = workflow.id
) as journal
from arvo.workflow
"""


def _stored_workflow(row: asyncpg.Record) -> StoredWorkflow:
    return StoredWorkflow(
        record=decode_record(row["record"], row["journal"] or []),
        began=row["began"],
        changed=row["changed"],
    )


async def history(
    connection: Connection, dsn: Dsn, subject: str, before: int | None, limit: int
) -> tuple[HistoryEntry, ...]:
    """Read the newest entries of a history whose position is below *before*, in order."""
    rows = await connection.fetch(dsn.sql(_HISTORY), subject, before, limit)
    return tuple(map(_history_entry, reversed(rows)))


_HISTORY: Final = """
select position, revision, kind, at, event from arvo.history
where workflow = (select id from arvo.workflow where subject = $1)
    and position < coalesce($2::bigint, 9223372036854775807)
order by position desc limit $3
"""


def _history_entry(row: asyncpg.Record) -> HistoryEntry:
    is_replacement = row["kind"] == "replaced"
    return HistoryEntry(
        position=row["position"],
        revision=row["revision"],
        kind=row["kind"],
        at=row["at"],
        event=None if is_replacement else decode_event(row["event"]),
        record=decode_record(row["event"], None) if is_replacement else None,
    )
