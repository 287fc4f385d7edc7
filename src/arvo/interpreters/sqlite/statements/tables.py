"""Tables: what a unit of work reads and writes in a SQLite file."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import orjson

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.codec import (
    Row,
    digest_of,
    event_bytes,
    letter_bytes,
    milliseconds,
    record_bytes,
    record_of,
    whole_record_bytes,
)
from arvo.interpreters.ports.backend import (
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Duplicate,
    Fenced,
    Message,
    timer_message,
)
from arvo.interpreters.sqlite.statements import deliveries
from arvo.interpreters.sqlite.statements.timers import arm


def apply(
    connection: sqlite3.Connection,
    number: int,
    commit: Commit,
    messages: Sequence[Message],
    letters: Sequence[DeadLetter],
    me: str,
    owner: str | None,
    now: int,
) -> tuple[CommitResult, list[Row]]:
    """Apply the commit of a delivery that *me* has; gives the answer, and what is *owner*'s.

    All that may refuse it comes before the first write that would have to be undone.
    """
    workflow: tuple[int, int, int] | None = None
    if commit.record is not None or commit.expected:
        workflow = connection.execute(_WORKFLOW, (commit.event.subject,)).fetchone()
        revision = 0 if workflow is None else workflow[1]
        if revision != commit.expected:
            return _outdated(connection, number, commit, me, revision), []
    if not deliveries.settle(connection, number, me):
        return Fenced(), []
    marked = connection.execute(_MARK, (digest_of(commit.handler, commit.event), now))
    if not marked.rowcount:
        return Duplicate(), []
    if commit.record is not None:
        id_, lines = (None, 0) if workflow is None else (workflow[0], workflow[2])
        id_ = _write_record(connection, commit, commit.record, id_, now)
        at = now if commit.now is None else milliseconds(commit.now)
        _write_history(connection, (id_, lines), commit, commit.record, at)
    for cleared in commit.cleared_timers:
        connection.execute("delete from timer where id = ?", (cleared,))
    for timer in commit.timers:
        arm(connection, timer, timer_message(commit, timer))
    for dead_letter in letters:
        write_letter(connection, dead_letter)
    return Committed(), deliveries.put(connection, messages, now, owner)


def _outdated(
    connection: sqlite3.Connection, number: int, commit: Commit, me: str, revision: int
) -> CommitResult:
    """Tell a redelivery from a lost race: told of a conflict, a worker steps again for nothing."""
    seen = connection.execute(
        "select 1 from inbox where digest = ?", (digest_of(commit.handler, commit.event),)
    )
    if seen.fetchone() is None:
        return Conflict(revision)
    return Duplicate() if deliveries.settle(connection, number, me) else Fenced()


_WORKFLOW: Final = "select id, revision, lines from workflow where subject = ?"
_MARK: Final = "insert into inbox (digest, at) values (?, ?) on conflict do nothing"


def _write_record(
    connection: sqlite3.Connection, commit: Commit, record: Record, workflow: int | None, now: int
) -> int:
    content = record_bytes(record)
    if workflow is None:
        row = (
            record.subject,
            record.handler,
            record.version,
            record.status,
            record.revision,
            record.parent,
            content,
            now,
            now,
            1 + len(commit.events),
        )
        workflow = connection.execute(_INSERT_WORKFLOW, row).lastrowid
        assert workflow is not None
    else:
        gained = 1 + len(commit.events)
        state = (record.version, record.status, record.revision, content, now, gained, workflow)
        connection.execute(_UPDATE_WORKFLOW, state)
        if not commit.journal_offset and record.journal:
            connection.execute(_CLEAR_JOURNAL, (workflow,))
    _write_journal(connection, workflow, record, commit.journal_offset)
    return workflow


def _write_journal(
    connection: sqlite3.Connection, workflow: int, record: Record, kept: int
) -> None:
    """Write the lines of a journal behind the first *kept*, which stand there already."""
    lines = enumerate(record.journal[kept:], start=kept)
    connection.executemany(
        "insert into journal (workflow, position, line) values (?, ?, ?)",
        [(workflow, position, orjson.dumps(line)) for position, line in lines],
    )


_CLEAR_JOURNAL: Final = "delete from journal where workflow = ?"
_UPDATE_WORKFLOW: Final = """
update workflow
set version = ?, status = ?, revision = ?, record = ?, changed = ?, lines = lines + ? where id = ?
"""
_INSERT_WORKFLOW: Final = """
insert into workflow
    (subject, handler, version, status, revision, parent, record, began, changed, lines)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def replace_record(
    connection: sqlite3.Connection,
    record: Record,
    expected: int,
    timers: Sequence[PendingTimer],
    redeliver: Sequence[Event[Any]],
    owner: str | None,
    now: int,
) -> tuple[Committed | Conflict, list[Row]]:
    """Put a record in the place of the one of revision *expected*; gives what *owner* has of what
    is handed out again.
    """
    row = connection.execute(_WORKFLOW, (record.subject,)).fetchone()
    if row is None or row[1] != expected:
        return Conflict(0 if row is None else row[1]), []
    content = record_bytes(record)
    state = (record.version, record.status, record.revision, content, now, 1, row[0])
    connection.execute(_UPDATE_WORKFLOW, state)
    connection.execute(_CLEAR_JOURNAL, (row[0],))
    _write_journal(connection, row[0], record, 0)
    content = whole_record_bytes(record)
    _write_lines(connection, (row[0], row[2]), record.revision, now, [("amended", content)])
    for event in (*(timer.event for timer in timers), *redeliver):
        connection.execute(
            "delete from inbox where digest = ?", (digest_of(record.handler, event),)
        )
    to = ToHandler(record.handler, record.subject)
    for timer in timers:
        arm(connection, timer, Message(timer.event, to))
    return Committed(), deliveries.put(
        connection, [Message(event, to) for event in redeliver], now, owner
    )


def load(connection: sqlite3.Connection, subject: str) -> Record | None:
    """Read the record of a workflow."""
    row = connection.execute(
        "select id, record from workflow where subject = ?", (subject,)
    ).fetchone()
    return None if row is None else record_of(row[1], journal_of(connection, row[0]))


def journal_of(connection: sqlite3.Connection, workflow: int) -> list[bytes]:
    """Read the lines of a journal."""
    lines = connection.execute(
        "select line from journal where workflow = ? order by position", (workflow,)
    )
    return [line for (line,) in lines]


def _write_history(
    connection: sqlite3.Connection,
    workflow: tuple[int, int],
    commit: Commit,
    record: Record,
    at: int,
) -> None:
    lines = [("consumed", event_bytes(commit.event))]
    lines += (("produced", event_bytes(event)) for event in commit.events)
    _write_lines(connection, workflow, record.revision, at, lines)


def _write_lines(
    connection: sqlite3.Connection,
    workflow: tuple[int, int],
    revision: int,
    at: int,
    lines: Sequence[tuple[str, bytes]],
) -> None:
    # The workflow's number, and how many lines it has already.
    number, first = workflow
    connection.executemany(
        "insert into history (workflow, position, revision, kind, at, event)"
        " values (?, ?, ?, ?, ?, ?)",
        [
            (number, first + offset, revision, kind, at, content)
            for offset, (kind, content) in enumerate(lines)
        ],
    )


def write_letter(connection: sqlite3.Connection, dead_letter: DeadLetter) -> None:
    """Keep a dead letter."""
    connection.execute(
        "insert into letter (id, at, number, letter)"
        " select ?, ?, coalesce(max(number), 0) + 1, ? from letter",
        (dead_letter.id, dead_letter.at, letter_bytes(dead_letter)),
    )


def take_letter(connection: sqlite3.Connection, id_: str) -> bool:
    """Take a dead letter out; False where there is none."""
    return bool(connection.execute("delete from letter where id = ?", (id_,)).rowcount)


def letters(connection: sqlite3.Connection) -> list[bytes]:
    """Give the dead letters, oldest first."""
    rows = connection.execute("select letter from letter order by number")
    return [dead_letter for (dead_letter,) in rows]
