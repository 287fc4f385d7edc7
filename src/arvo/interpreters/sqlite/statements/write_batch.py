"""Write batch: the changes of one call of the backend to a SQLite file, all or nothing."""

import sqlite3
from typing import Final, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.history import Kind
from arvo.core.record import Record
from arvo.interpreters.delivery.codec import (
    StoredMessage,
    consumption_digest,
    encode_event,
    to_milliseconds,
)
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Delivery,
    Message,
    timer_message,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import (
    CancellationPending,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
)
from arvo.interpreters.sqlite.statements import deliveries, records, timers
from arvo.interpreters.sqlite.statements.cancellations import CONSUMED, pending_cancellation
from arvo.interpreters.sqlite.statements.dead_letters import dead_letter


@final
@frozen(kw_only=True)
class WriteBatch:
    """A delivery to remove, and the changes to write if this worker still owns it.

    *delivery_id*: the row of *delivery*; both are None where there is no delivery. *owner*: the
    worker that owns the new deliveries of *messages*, None to leave them unclaimed.
    """

    worker_id: str
    delivery_id: int | None = None
    delivery: Delivery | None = None
    commit: Commit | None = None
    messages: tuple[Message, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    owner: str | None = None


@final
@frozen
class Written:
    """The result of a batch, and the new deliveries that its owner owns."""

    result: CommitResult
    rows: tuple[StoredMessage, ...] = ()


def write(connection: sqlite3.Connection, batch: WriteBatch, now: int) -> Written:
    """Write a batch in the transaction of the caller.

    Every check that can refuse the batch comes before the first write that a refusal would have to
    roll back; the removal of the delivery stays where the event is a duplicate.
    """
    workflow: records.WorkflowRow | None = None
    commit = batch.commit
    if commit is not None and (commit.record is not None or commit.expected):
        workflow = records.find_workflow(connection, commit.event.subject)
        revision = 0 if workflow is None else workflow.revision
        if revision != commit.expected:
            return Written(_refuse_outdated(connection, batch, commit, revision))
    if commit is not None and batch.delivery is not None and yields_to_cancellation(commit):
        cancellation = pending_cancellation(connection, batch.delivery)
        if cancellation is not None:
            return Written(CancellationPending(cancellation))
    if not _ack(connection, batch):
        return Written(Fenced())
    if commit is not None:
        if not _mark_consumed(connection, commit, now):
            return Written(Duplicate())
        _write_commit(connection, commit, workflow, now)
    for entry in batch.dead_letters:
        dead_letter(connection, entry)
    rows = deliveries.send(connection, batch.messages, now, batch.owner)
    return Written(Committed(), tuple(rows))


def _ack(connection: sqlite3.Connection, batch: WriteBatch) -> bool:
    return batch.delivery_id is None or deliveries.ack(
        connection, batch.delivery_id, batch.worker_id
    )


def _refuse_outdated(
    connection: sqlite3.Connection, batch: WriteBatch, commit: Commit, revision: int
) -> CommitResult:
    """Distinguish a redelivered event from a lost race.

    On `Conflict` the worker steps again, which would be wasted on an event that was consumed.
    """
    consumed = connection.execute(CONSUMED, (_digest(commit),)).fetchone()
    if consumed is None:
        return Conflict(revision)
    return Duplicate() if _ack(connection, batch) else Fenced()


def _mark_consumed(connection: sqlite3.Connection, commit: Commit, now: int) -> bool:
    return bool(connection.execute(_MARK, (_digest(commit), now)).rowcount)


def _digest(commit: Commit) -> bytes:
    return consumption_digest(commit.handler, commit.event)


_MARK: Final = "insert into inbox (digest, at) values (?, ?) on conflict do nothing"


def _write_commit(
    connection: sqlite3.Connection,
    commit: Commit,
    workflow: records.WorkflowRow | None,
    now: int,
) -> None:
    if commit.record is not None:
        _write_record(connection, commit, commit.record, workflow, now)
    for id_ in commit.cleared_timers:
        timers.clear(connection, id_)
    for timer in commit.timers:
        timers.schedule(connection, timer, timer_message(commit, timer))


def _write_record(
    connection: sqlite3.Connection,
    commit: Commit,
    record: Record,
    workflow: records.WorkflowRow | None,
    now: int,
) -> None:
    """Write the record of a commit, its journal and its history."""
    entries: list[tuple[Kind, bytes]] = [("consumed", encode_event(commit.event))]
    entries += (("produced", encode_event(event)) for event in commit.events)
    if workflow is None:
        workflow = records.insert_record(connection, record, len(entries), now)
    else:
        records.update_record(connection, workflow.id, record, len(entries), now)
        records.extend_journal(connection, workflow.id, record, commit.journal_offset)
    at = now if commit.now is None else to_milliseconds(commit.now)
    records.write_history(connection, workflow, record.revision, at, entries)
