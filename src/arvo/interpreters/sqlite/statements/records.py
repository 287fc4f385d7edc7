"""Records: the rows of workflows in a SQLite file: their records and their histories."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, final

from attrs import frozen

from arvo.core.events.subject import workflow_id_of
from arvo.core.history import Kind
from arvo.core.labels import label_lines
from arvo.core.record import Record
from arvo.interpreters.delivery.codec import decode_record
from arvo.interpreters.delivery.record_log import RecordEntry, next_entry
from arvo.interpreters.sqlite.connection.in_place import codec_of
from arvo.interpreters.sqlite.statements.values import select

# Of a history entry: its revision, time and kind, and an event or a record as JSON.
HistoryRow: TypeAlias = tuple[int, int, Kind, bytes]


@final
@frozen
class WorkflowRow:
    """The state of a workflow that a write depends on; *room*: see `RecordEntry`."""

    id: int
    revision: int
    history_length: int
    room: int


@final
@frozen
class WorkflowChange:
    """A record, and the entries that it adds to the history of its workflow.

    *row*: the workflow as it is stored, None if it begins. *before*: the record that this one
    follows, if it is known.
    """

    row: WorkflowRow | None
    before: Record | None
    record: Record
    history: Sequence[HistoryRow]


def find_workflow(connection: sqlite3.Connection, subject: str) -> WorkflowRow | None:
    """Return the row of a workflow, None if there is none."""
    return find_workflows(connection, [subject]).get(subject)


def find_workflows(
    connection: sqlite3.Connection, subjects: Sequence[str]
) -> dict[str, WorkflowRow]:
    """Return the rows of those of the workflows that have one."""
    return {subject: WorkflowRow(*row) for subject, *row in select(connection, _FIND, subjects)}


_FIND: Final = """
select subject, id, revision, history_length, room from workflow where subject in ({values})
"""


def write_workflows(
    connection: sqlite3.Connection, changes: Sequence[WorkflowChange], now: int
) -> None:
    """Write records of different workflows, and append to their histories."""
    inserted: list[tuple[Any, ...]] = []
    updated: list[tuple[Any, ...]] = []
    history: list[tuple[Any, ...]] = []
    logged: list[tuple[WorkflowRow, Record, RecordEntry]] = []
    last_id, codec = -1, codec_of(connection)
    for change in changes:
        row, record = change.row, change.record
        entry = next_entry(record, change.before, 0 if row is None else row.room, codec)
        added = len(change.history)
        if row is None:
            if last_id < 0:
                # As SQLite numbers the rows, but known before they are written.
                (last_id,) = connection.execute(_LAST_ID).fetchone()
            last_id += 1
            row = WorkflowRow(last_id, 0, 0, 0)
            inserted.append((last_id, *_insert_values(record, entry, added, now)))
        else:
            updated.append(_update_values(row, record, entry, added, now))
        if entry.room or row.room:
            logged.append((row, record, entry))
        history += (
            (row.id, row.history_length + offset, revision, kind, at, content)
            for offset, (revision, at, kind, content) in enumerate(change.history)
        )
    if inserted:
        connection.executemany(_INSERT, inserted)
    if updated:
        connection.executemany(_UPDATE, updated)
    _write_logs(connection, logged)
    connection.executemany(_INSERT_HISTORY, history)


def _insert_values(record: Record, entry: RecordEntry, added: int, now: int) -> tuple[Any, ...]:
    return (
        record.subject,
        record.handler,
        record.version,
        record.status,
        record.revision,
        record.parent,
        entry.in_row,
        now,
        now,
        added,
        entry.room,
        workflow_id_of(record.subject) or None,
        label_lines(record.labels),
    )


def _update_values(
    row: WorkflowRow, record: Record, entry: RecordEntry, added: int, now: int
) -> tuple[Any, ...]:
    return (
        record.version,
        record.status,
        record.revision,
        entry.in_row,
        now,
        added,
        entry.room,
        label_lines(record.labels),
        row.id,
    )


_LAST_ID: Final = "select coalesce(max(id), 0) from workflow"
_INSERT: Final = """
insert into workflow
    (id, subject, handler, version, status, revision, parent, record, began, changed,
    history_length, room, workflow_id, labels)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE: Final = """
update workflow set
    version = ?, status = ?, revision = ?, record = ?, changed = ?,
    history_length = history_length + ?, room = ?, labels = ?
where id = ?
"""
_INSERT_HISTORY: Final = """
insert into history (workflow, position, revision, kind, at, event) values (?, ?, ?, ?, ?, ?)
"""


def _write_logs(
    connection: sqlite3.Connection, logged: Sequence[tuple[WorkflowRow, Record, RecordEntry]]
) -> None:
    """Append an entry to the log of each large record, or begin the log anew."""
    for row, record, entry in logged:
        if entry.is_whole and row.room:
            connection.execute("delete from record_log where workflow = ?", (row.id,))
        if entry.room:
            connection.execute(
                "insert into record_log (workflow, revision, content) values (?, ?, ?)",
                (row.id, record.revision, entry.content),
            )


def read_record(
    connection: sqlite3.Connection, subject: str, workflow_id: int, in_row: bytes
) -> Record:
    """Return the record of a workflow, from its row or from its log."""
    codec = codec_of(connection)
    if in_row:
        return decode_record(in_row, codec=codec, subject=subject)
    rows = connection.execute(
        "select content from record_log where workflow = ? order by revision", (workflow_id,)
    )
    whole, *changes = (content for (content,) in rows)
    return decode_record(whole, changes, codec=codec, subject=subject)
