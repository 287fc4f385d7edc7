"""Queries: records, workflows and histories, read from a Postgres schema.

What may wait for a blob is returned as a function that decodes it: without the connection.
"""

from collections.abc import Callable, Sequence
from typing import Final

import asyncpg

from arvo.core.history import HistoryEntry
from arvo.core.record import STATUSES, Record
from arvo.interpreters.codecs.waiting import decoding
from arvo.interpreters.delivery.archive.workflow import ArchivedWorkflow
from arvo.interpreters.delivery.codec import decode_event, decode_record
from arvo.interpreters.delivery.operations import WorkflowQuery
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow, VersionUse
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.columns import columns


async def load(connection: Connection, dsn: Dsn, subject: str) -> Callable[[], Record | None]:
    """Read the record of a workflow, None if there is none."""
    decode = await workflow(connection, dsn, subject)

    def decode_record() -> Record | None:
        stored = decode()
        return None if stored is None else stored.record

    return decode_record


async def load_all(
    connection: Connection, dsn: Dsn, subjects: Sequence[str]
) -> Callable[[], dict[str, Record]]:
    """Read the records of those of the workflows that have one."""
    statement = f"{_WORKFLOWS} where subject = any($1::text[])"
    rows = await connection.fetch(dsn.sql(statement), subjects)
    return lambda: {row["subject"]: _stored_workflow(row, dsn).record for row in rows}


async def versions(connection: Connection, dsn: Dsn) -> tuple[VersionUse, ...]:
    """Count the active and the failed workflows by handler and version."""
    return tuple(VersionUse(*row) for row in await connection.fetch(dsn.sql(_VERSIONS)))


_VERSIONS: Final = """
select handler, version,
    count(*) filter (where status = 'active'), count(*) filter (where status = 'failed')
from arvo.workflow where status in ('active', 'failed')
group by handler, version order by handler, version collate "C"
"""


async def workflow(
    connection: Connection, dsn: Dsn, subject: str
) -> Callable[[], StoredWorkflow | None]:
    """Read one workflow as `workflows` would list it, None if there is none."""
    row = await connection.fetchrow(dsn.sql(f"{_WORKFLOWS} where subject = $1"), subject)
    return lambda: None if row is None else _stored_workflow(row, dsn)


async def workflows(
    connection: Connection, dsn: Dsn, query: WorkflowQuery
) -> Callable[[], tuple[StoredWorkflow, ...]]:
    """List the workflows that match, the most recently changed first."""
    conditions: list[str] = []
    values: list[object] = []

    def parameter(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    conditions += (f"position({parameter(line)} in labels) > 0" for line in query.lines)
    if query.text is not None:
        text = parameter(query.text)
        found = (f"position({text} in {column}) > 0" for column in ("labels", "workflow_id"))
        conditions.append(f"({' or '.join(found)})")
    if query.handler is not None:
        conditions.append(f"handler = {parameter(query.handler)}")
    if query.version is not None:
        conditions.append(f"version = {parameter(query.version)}")
    if query.unchanged_since is not None:
        conditions.append(f"changed < {parameter(query.unchanged_since)}")
    if query.after is not None:
        last = f"{parameter(query.after.changed)}, {parameter(query.after.record.subject)}"
        conditions.append(f"(changed, subject) < ({last})")
    if query.workflow_id is not None:
        conditions.append(f"workflow_id = {parameter(query.workflow_id)}")
        if query.status is not None:
            conditions.append(f"status = {parameter(query.status)}")
        statement = f"{_WORKFLOWS} where {' and '.join(conditions)} {_NEWEST_FIRST}"
        statement += f" limit {parameter(query.limit)}"
        rows = await connection.fetch(dsn.sql(statement), *values)
        return lambda: tuple(_stored_workflow(row, dsn) for row in rows)
    rows = []
    limit = parameter(query.limit)
    # One query for each status, as a constant: only then are the partial indexes used.
    for status in STATUSES if query.status is None else (query.status,):
        assert status in STATUSES
        where = " and ".join((f"status = '{status}'", *conditions))
        statement = f"{_WORKFLOWS} where {where} {_NEWEST_FIRST} limit {limit}"
        rows += await connection.fetch(dsn.sql(statement), *values)
    rows.sort(key=lambda row: (row["changed"], row["subject"].encode()), reverse=True)
    return lambda: tuple(_stored_workflow(row, dsn) for row in rows[: query.limit])


async def with_ids(
    connection: Connection, dsn: Dsn, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[Record]]:
    """Read the records of the newest runs with workflow ids; the active one of each is new.

    *keys*: handlers and ids.
    """
    rows = await connection.fetch(dsn.sql(_WITH_IDS), *columns(keys, 2), PAGE_MAX)

    def decode() -> dict[tuple[str, str], list[Record]]:
        found: dict[tuple[str, str], list[Record]] = {}
        for row in rows:
            key = row["wanted_handler"], row["wanted_id"]
            found.setdefault(key, []).append(_stored_workflow(row, dsn).record)
        return found

    return await decoding(dsn.codec, decode)


_NEWEST_FIRST: Final = "order by changed desc, subject desc"
# The row and the log of a record in one snapshot.
_WORKFLOWS: Final = """
select record, began, changed, subject, case when room > 0 then (
    select array_agg(content order by revision) from arvo.record_log where workflow = workflow.id
) end as log
from arvo.workflow
"""


_WANTED: Final = """
select * from unnest($1::text[], $2::text[]) as wanted (wanted_handler, wanted_id)
"""
_RUNS: Final = f"{_WORKFLOWS} where handler = wanted_handler and workflow_id = wanted_id"
_WITH_IDS: Final = f"{_WANTED} cross join lateral ({_RUNS} {_NEWEST_FIRST} limit $3) as run"


def _stored_workflow(row: asyncpg.Record, dsn: Dsn) -> StoredWorkflow:
    whole, *changes = row["log"] or [row["record"]]
    return StoredWorkflow(
        record=decode_record(whole, changes, codec=dsn.codec, subject=row["subject"]),
        began=row["began"],
        changed=row["changed"],
    )


async def history(
    connection: Connection, dsn: Dsn, subject: str, before: int | None, limit: int
) -> Callable[[], tuple[HistoryEntry, ...]]:
    """Read the newest entries of a history whose position is below *before*, in order."""
    rows = await connection.fetch(dsn.sql(_HISTORY), subject, before, limit)
    return lambda: tuple(_history_entry(row, dsn, subject) for row in reversed(rows))


_HISTORY: Final = """
select position, revision, kind, at, event from arvo.history
where workflow = (select id from arvo.workflow where subject = $1)
    and position < coalesce($2::bigint, 9223372036854775807)
order by position desc limit $3
"""


async def archived(
    connection: Connection, dsn: Dsn, ids: Sequence[int], postpone: Callable[[Exception], None]
) -> dict[int, ArchivedWorkflow]:
    """Read workflows with their whole histories, for an archive, by id, the oldest first.

    Calls *postpone* with what is wrong with a blob, and leaves out the workflows that need it.
    """
    rows = await connection.fetch(dsn.sql(f"{_WITH_ROW_ID} order by changed, id"), ids)
    subjects: dict[int, str] = {row["id"]: row["subject"] for row in rows}
    entries = await connection.fetch(dsn.sql(_HISTORIES), ids)

    own: dict[int, list[asyncpg.Record]] = {}
    for row in entries:
        own.setdefault(row["workflow"], []).append(row)

    def decode() -> dict[int, ArchivedWorkflow]:
        found: dict[int, ArchivedWorkflow] = {}
        for row in rows:
            id_ = row["id"]
            try:
                record = _stored_workflow(row, dsn).record
                history = [_history_entry(it, dsn, subjects[id_]) for it in own.get(id_, ())]
            except BlobMissing as error:
                postpone(error)
                continue
            except BlobUnavailable as error:
                postpone(error)
                break
            found[id_] = ArchivedWorkflow(record, tuple(history))
        return found

    return await decoding(dsn.codec, decode)


_HISTORIES: Final = """
select workflow, position, revision, kind, at, event from arvo.history
where workflow = any ($1::bigint[]) order by workflow, position
"""
_WITH_ROW_ID: Final = (
    f"{_WORKFLOWS.replace('select ', 'select id, ', 1)} where id = any ($1::bigint[])"
)


def _history_entry(row: asyncpg.Record, dsn: Dsn, subject: str) -> HistoryEntry:
    is_replacement, content = row["kind"] == "replaced", row["event"]
    return HistoryEntry(
        position=row["position"],
        revision=row["revision"],
        kind=row["kind"],
        at=row["at"],
        event=None if is_replacement else decode_event(content, dsn.codec),
        record=decode_record(content, codec=dsn.codec, subject=subject) if is_replacement else None,
    )


async def referenced(connection: Connection, dsn: Dsn, keys: Sequence[str]) -> frozenset[str]:
    """Return those of *keys* to which a row refers: all tables as they are at one moment."""
    rows = await connection.fetch(dsn.sql(_REFERENCED), [key.encode() for key in keys])
    return frozenset(row["key"].decode() for row in rows)


# With the expressions of the indexes. The first bytes are DATA_REF_START, or HEAD.
_REFERENCED: Final = r"""
select key from unnest($1::bytea[]) as wanted (key) where exists (
    select from arvo.delivery
    where substring(event from 1 for 13) = '\x7b22646174615f726566223a22'::bytea
        and substring(event from 14 for 75) = wanted.key
) or exists (
    select from arvo.timer
    where substring(event from 1 for 13) = '\x7b22646174615f726566223a22'::bytea
        and substring(event from 14 for 75) = wanted.key
) or exists (
    select from arvo.history
    where substring(event from 1 for 13) = '\x7b22646174615f726566223a22'::bytea
        and substring(event from 14 for 75) = wanted.key
) or exists (
    select from arvo.dead_letter
    where substring(content from 1 for 13) = '\x7b22646174615f726566223a22'::bytea
        and substring(content from 14 for 75) = wanted.key
) or exists (
    select from arvo.history
    where substring(event from 1 for 1) = '\xa3'::bytea
        and substring(event from 2 for 75) = wanted.key
) or exists (
    select from arvo.workflow
    where substring(record from 1 for 1) = '\xa3'::bytea
        and substring(record from 2 for 75) = wanted.key
) or exists (
    select from arvo.record_log
    where substring(content from 1 for 1) = '\xa3'::bytea
        and substring(content from 2 for 75) = wanted.key
)
"""


async def blob_owner(connection: Connection, dsn: Dsn) -> str:
    """Return the id of the schema, to which its blobs belong."""
    return str(await connection.fetchval(dsn.sql("select id from arvo.blob_owner")))
