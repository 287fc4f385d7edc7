"""Records: the rows of one workflow in a SQLite file: its record, journal and history."""

import sqlite3
from collections.abc import Sequence
from typing import Final, final

import orjson
from attrs import frozen

from arvo.core.history import Kind
from arvo.core.record import Record
from arvo.interpreters.delivery.codec import encode_record_body


@final
@frozen
class WorkflowRow:
    """The state of a workflow that a write depends on."""

    id: int
    revision: int
    history_length: int


def find_workflow(connection: sqlite3.Connection, subject: str) -> WorkflowRow | None:
    """Return the row of a workflow, None if there is none."""
    row = connection.execute(
        "select id, revision, history_length from workflow where subject = ?", (subject,)
    ).fetchone()
    return None if row is None else WorkflowRow(*row)


def insert_record(
    connection: sqlite3.Connection, record: Record, entries: int, now: int
) -> WorkflowRow:
    """Write a new record and its journal; *entries* follow in its history."""
    cursor = connection.execute(
        _INSERT,
        (
            record.subject,
            record.handler,
            record.version,
            record.status,
            record.revision,
            record.parent,
            encode_record_body(record),
            now,
            now,
            entries,
        ),
    )
    assert cursor.lastrowid is not None
    _write_journal(connection, cursor.lastrowid, record, 0)
    return WorkflowRow(cursor.lastrowid, record.revision, 0)


_INSERT: Final = """
insert into workflow
    (subject, handler, version, status, revision, parent, record, began, changed, history_length)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def update_record(
    connection: sqlite3.Connection, workflow_id: int, record: Record, entries: int, now: int
) -> None:
    """Replace a record; *entries* more follow in its history. The journal is left as it is."""
    connection.execute(
        _UPDATE,
        (
            record.version,
            record.status,
            record.revision,
            encode_record_body(record),
            now,
            entries,
            workflow_id,
        ),
    )


_UPDATE: Final = """
update workflow set
    version = ?, status = ?, revision = ?, record = ?, changed = ?,
    history_length = history_length + ?
where id = ?
"""


def replace_journal(connection: sqlite3.Connection, workflow_id: int, record: Record) -> None:
    """Remove the journal, and write that of *record*."""
    connection.execute("delete from journal where workflow = ?", (workflow_id,))
    _write_journal(connection, workflow_id, record, 0)


def extend_journal(
    connection: sqlite3.Connection, workflow_id: int, record: Record, offset: int
) -> None:
    """Write the journal of *record* from *offset* on; the file holds the entries before it.

    A new journal (*offset* 0) takes the place of the old one.
    """
    if record.journal and not offset:
        replace_journal(connection, workflow_id, record)
    else:
        _write_journal(connection, workflow_id, record, offset)


def _write_journal(
    connection: sqlite3.Connection, workflow_id: int, record: Record, offset: int
) -> None:
    connection.executemany(
        "insert into journal (workflow, position, line) values (?, ?, ?)",
        [
            (workflow_id, position, orjson.dumps(entry))
            for position, entry in enumerate(record.journal[offset:], start=offset)
        ],
    )


def load_journal(connection: sqlite3.Connection, workflow_id: int) -> list[bytes]:
    """Return the entries of a journal, in order."""
    rows = connection.execute(
        "select line from journal where workflow = ? order by position", (workflow_id,)
    )
    return [entry for (entry,) in rows]


def write_history(
    connection: sqlite3.Connection,
    workflow: WorkflowRow,
    revision: int,
    at: int,
    entries: Sequence[tuple[Kind, bytes]],
) -> None:
    """Append entries to a history: of each its kind, and an event or a record as JSON."""
    connection.executemany(
        "insert into history (workflow, position, revision, kind, at, event)"
        " values (?, ?, ?, ?, ?, ?)",
        [
            (workflow.id, workflow.history_length + offset, revision, kind, at, content)
            for offset, (kind, content) in enumerate(entries)
        ],
    )
