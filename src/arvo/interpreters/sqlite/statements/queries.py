"""Queries: records, workflows and histories, read from a SQLite file."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from arvo.core.history import HistoryEntry
from arvo.core.record import STATUSES, Record
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.archive.workflow import ArchivedWorkflow
from arvo.interpreters.delivery.codec import (
    decode_event,
    decode_record,
    from_milliseconds,
    to_milliseconds,
)
from arvo.interpreters.delivery.operations import WorkflowQuery
from arvo.interpreters.ports.results import StoredWorkflow, VersionUse
from arvo.interpreters.sqlite.connection.in_place import codec_of
from arvo.interpreters.sqlite.statements.records import read_record
from arvo.interpreters.sqlite.statements.values import select


def load(connection: sqlite3.Connection, subject: str) -> Record | None:
    """Read the record of a workflow, None if there is none."""
    return load_all(connection, [subject]).get(subject)


def load_all(connection: sqlite3.Connection, subjects: Sequence[str]) -> dict[str, Record]:
    """Read the records of those of the workflows that have one."""
    rows = select(connection, _RECORDS, subjects)
    return {subject: read_record(connection, subject, id_, record) for subject, id_, record in rows}


_RECORDS: Final = "select subject, id, record from workflow where subject in ({values})"


def workflows(connection: sqlite3.Connection, query: WorkflowQuery) -> tuple[StoredWorkflow, ...]:
    """List the workflows that match, the most recently changed first."""
    conditions: list[str] = []
    values: list[Any] = []
    if query.workflow_id is not None and query.status is not None:
        conditions.append("+status = ?")
        values.append(query.status)
    for line in query.lines:
        conditions.append("instr(labels, ?)")
        values.append(line)
    if query.text is not None:
        conditions.append("(instr(labels, ?) or instr(coalesce(workflow_id, ''), ?))")
        values += (query.text, query.text)
    if query.handler is not None:
        conditions.append("handler = ?")
        values.append(query.handler)
    if query.version is not None:
        conditions.append("version = ?")
        values.append(query.version)
    if query.unchanged_since is not None:
        conditions.append("changed < ?")
        values.append(to_milliseconds(query.unchanged_since))
    if query.after is not None:
        conditions.append("(changed, subject) < (?, ?)")
        values += (to_milliseconds(query.after.changed), query.after.record.subject)
    if query.workflow_id is not None:
        # Without an index on the status, which would be read for the order alone.
        rows = connection.execute(
            f"{_WORKFLOWS} where {' and '.join(('workflow_id = ?', *conditions))} {_NEWEST_FIRST}",
            (query.workflow_id, *values, query.limit),
        ).fetchall()
        return tuple(_stored_workflow(connection, row) for row in rows)
    rows = []
    # One query for each status: only then does an index give the order.
    for status in STATUSES if query.status is None else (query.status,):
        where = " and ".join(("status = ?", *conditions))
        rows += connection.execute(
            f"{_WORKFLOWS} where {where} {_NEWEST_FIRST}",
            (status, *values, query.limit),
        ).fetchall()
    rows.sort(key=lambda row: (row[3], row[4]), reverse=True)
    return tuple(_stored_workflow(connection, row) for row in rows[: query.limit])


def with_id(connection: sqlite3.Connection, key: tuple[str, str]) -> list[Record]:
    """Read the records of the newest runs of a handler with a workflow id; the active one is new.

    *key*: the handler and the id.
    """
    handler, id_ = key
    found = workflows(connection, WorkflowQuery(handler, workflow_id=id_))
    return [stored.record for stored in found]


_WORKFLOWS: Final = "select id, record, began, changed, subject from workflow"
_NEWEST_FIRST: Final = "order by changed desc, subject desc limit ?"


def versions(connection: sqlite3.Connection) -> tuple[VersionUse, ...]:
    """Count the active and the failed workflows by handler and version."""
    return tuple(VersionUse(*row) for row in connection.execute(_VERSIONS))


_VERSIONS: Final = """
select handler, version, sum(status = 'active'), sum(status = 'failed') from workflow
where status in ('active', 'failed') group by handler, version order by handler, version
"""


def workflow(connection: sqlite3.Connection, subject: str) -> StoredWorkflow | None:
    """Read one workflow as `workflows` would list it, None if there is none."""
    row = connection.execute(f"{_WORKFLOWS} where subject = ?", (subject,)).fetchone()
    return None if row is None else _stored_workflow(connection, row)


def _stored_workflow(connection: sqlite3.Connection, row: Sequence[Any]) -> StoredWorkflow:
    id_, record, began, changed, subject = row
    return StoredWorkflow(
        record=read_record(connection, subject, id_, record),
        began=from_milliseconds(began),
        changed=from_milliseconds(changed),
    )


def history(
    connection: sqlite3.Connection, subject: str, before: int | None, limit: int
) -> tuple[HistoryEntry, ...]:
    """Read the newest entries of a history whose position is below *before*, in order."""
    rows = connection.execute(_HISTORY, (subject, before, limit)).fetchall()
    codec = codec_of(connection)
    return tuple(_history_entry(row, subject, codec) for row in reversed(rows))


_HISTORY: Final = """
select position, revision, kind, at, event from history
where workflow = (select id from workflow where subject = ?)
    and position < coalesce(?, 9223372036854775807)
order by position desc limit ?
"""


def archived(connection: sqlite3.Connection, id_: int) -> ArchivedWorkflow:
    """Read a workflow of the file with its whole history, for an archive."""
    (subject, in_row) = connection.execute(
        "select subject, record from workflow where id = ?", (id_,)
    ).fetchone()
    rows = connection.execute(
        "select position, revision, kind, at, event from history where workflow = ?"
        " order by position",
        (id_,),
    )
    record, codec = read_record(connection, subject, id_, in_row), codec_of(connection)
    return ArchivedWorkflow(record, tuple(_history_entry(row, subject, codec) for row in rows))


def _history_entry(row: Sequence[Any], subject: str, codec: Codec | None) -> HistoryEntry:
    position, revision, kind, at, content = row
    is_replacement = kind == "replaced"
    return HistoryEntry(
        position=position,
        revision=revision,
        kind=kind,
        at=from_milliseconds(at),
        event=None if is_replacement else decode_event(content, codec),
        record=decode_record(content, codec=codec, subject=subject) if is_replacement else None,
    )


def referenced(connection: sqlite3.Connection, keys: Sequence[str]) -> frozenset[str]:
    """Return those of *keys* to which a row refers: all tables as they are at one moment."""
    contents = [key.encode() for key in keys]
    # Each statement sees one moment; that of a key is what counts.
    return frozenset(key.decode() for (key,) in select(connection, _REFERENCED, contents))


# With the expressions of the indexes. The first bytes are DATA_REF_START, or HEAD.
_REFERENCED: Final = """
select column1 from ({values}) where exists (
    select 1 from delivery
    where substr(event, 1, 13) = x'7b22646174615f726566223a22' and substr(event, 14, 75) = column1
) or exists (
    select 1 from timer
    where substr(event, 1, 13) = x'7b22646174615f726566223a22' and substr(event, 14, 75) = column1
) or exists (
    select 1 from history
    where substr(event, 1, 13) = x'7b22646174615f726566223a22' and substr(event, 14, 75) = column1
) or exists (
    select 1 from dead_letter
    where substr(content, 1, 13) = x'7b22646174615f726566223a22'
        and substr(content, 14, 75) = column1
) or exists (
    select 1 from history
    where substr(event, 1, 1) = x'a3' and substr(event, 2, 75) = column1
) or exists (
    select 1 from workflow
    where substr(record, 1, 1) = x'a3' and substr(record, 2, 75) = column1
) or exists (
    select 1 from record_log
    where substr(content, 1, 1) = x'a3' and substr(content, 2, 75) = column1
)
"""


def blob_owner(connection: sqlite3.Connection) -> str:
    """Return the id of the file, to which its blobs belong."""
    id_: str = connection.execute("select id from blob_owner").fetchone()[0]
    return id_
