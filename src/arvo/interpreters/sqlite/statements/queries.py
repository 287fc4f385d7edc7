"""Pages: what an operator reads in a SQLite file, a page at a time."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from arvo.core.history import HistoryEntry
from arvo.core.record import STATUSES, Status
from arvo.interpreters.delivery.codec import event_of, milliseconds, record_of, time_of
from arvo.interpreters.ports.backend import StoredWorkflow
from arvo.interpreters.sqlite.statements.tables import journal_of


def workflows(
    connection: sqlite3.Connection,
    *,
    status: Status | None,
    handler: str | None,
    unchanged_since: datetime | None,
    after: StoredWorkflow | None,
    limit: int,
) -> tuple[StoredWorkflow, ...]:
    """List workflows, the one that changed last first."""
    wheres: list[str] = []
    values: list[Any] = []
    if handler is not None:
        wheres.append("handler = ?")
        values.append(handler)
    if unchanged_since is not None:
        wheres.append("changed < ?")
        values.append(milliseconds(unchanged_since))
    if after is not None:
        wheres.append("(changed, subject) < (?, ?)")
        values += (milliseconds(after.changed), after.record.subject)
    found = []
    # One status at a time, or no index would give them in order.
    for each in STATUSES if status is None else (status,):
        where = " and ".join(("status = ?", *wheres))
        found += connection.execute(
            f"{_WORKFLOWS} where {where} {_NEWEST_FIRST}",
            (each, *values, limit),
        ).fetchall()
    found.sort(key=lambda row: (row[3], row[4]), reverse=True)
    return tuple(_kept(connection, row) for row in found[:limit])


_WORKFLOWS: Final = "select id, record, began, changed, subject from workflow"
_NEWEST_FIRST: Final = "order by changed desc, subject desc limit ?"


def workflow(connection: sqlite3.Connection, subject: str) -> StoredWorkflow | None:
    """Give one workflow."""
    row = connection.execute(f"{_WORKFLOWS} where subject = ?", (subject,)).fetchone()
    return None if row is None else _kept(connection, row)


def _kept(connection: sqlite3.Connection, row: Sequence[Any]) -> StoredWorkflow:
    number, record, began, changed, _ = row
    return StoredWorkflow(
        record=record_of(record, journal_of(connection, number)),
        began=time_of(began),
        changed=time_of(changed),
    )


def history(
    connection: sqlite3.Connection, subject: str, before: int | None, limit: int
) -> tuple[HistoryEntry, ...]:
    """Give the newest lines of a workflow's history, in order."""
    rows = connection.execute(_HISTORY, (subject, before, limit)).fetchall()
    return tuple(map(_entry, reversed(rows)))


_HISTORY: Final = """
select position, revision, kind, at, event from history
where workflow = (select id from workflow where subject = ?1)
    and position < coalesce(?2, 9223372036854775807)
order by position desc limit ?3
"""


def _entry(row: Sequence[Any]) -> HistoryEntry:
    position, revision, kind, at, content = row
    amended = kind == "amended"
    return HistoryEntry(
        position=position,
        revision=revision,
        kind=kind,
        at=time_of(at),
        event=None if amended else event_of(content),
        record=record_of(content, None) if amended else None,
    )
