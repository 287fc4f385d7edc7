"""Write batch: the changes of one call of the backend to a SQLite file, all or nothing."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final, final

from attrs import frozen

from arvo.core.begin import begun_id, find_holder
from arvo.core.commit import Commit
from arvo.core.events.digest import inbox_digest
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.codec import (
    StoredMessage,
    consumption_digest,
    encode_event,
    to_milliseconds,
)
from arvo.interpreters.ports.chains import last_timers
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Delivery,
    Message,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import (
    CancellationPending,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
    WorkflowIdTaken,
    compare_digests,
)
from arvo.interpreters.sqlite.connection.in_place import codec_of
from arvo.interpreters.sqlite.statements import deliveries, queries, records, timers
from arvo.interpreters.sqlite.statements.cancellations import CONSUMED, pending_cancellation
from arvo.interpreters.sqlite.statements.dead_letters import dead_letter


@final
@frozen(kw_only=True)
class WriteBatch:
    """A delivery to remove, and the changes to write if this worker still owns it.

    *delivery_id*: the row of *delivery*, and *worker_id* the worker that has to own it; all three
    are None where there is no delivery. *claim_own*: whether the worker that writes shall own the
    new deliveries of *messages*; *unowned*: the queues of which it owns none.
    """

    worker_id: str | None = None
    delivery_id: int | None = None
    delivery: Delivery | None = None
    commit: Commit | None = None
    messages: tuple[Message, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    claim_own: bool = False
    unowned: Collection[str] = ()


@final
@frozen
class Written:
    """The result of a batch, and the new deliveries that the worker owns."""

    result: CommitResult
    rows: tuple[StoredMessage, ...] = ()


def write(connection: sqlite3.Connection, batch: WriteBatch, worker_id: str, now: int) -> Written:
    """Write a batch of a worker in the transaction of the caller.

    Every check that can refuse the batch comes before the first write that a refusal would have to
    roll back, but for the mark in the inbox, which is deleted again.
    """
    workflow: records.WorkflowRow | None = None
    commit = batch.commit
    if commit is not None and (commit.record is not None or commit.expected):
        workflow = records.find_workflow(connection, commit.event.subject)
        revision = 0 if workflow is None else workflow.revision
        if revision != commit.expected:
            # On `Conflict` the worker steps again, which would be wasted on an event that was
            # consumed.
            return Written(_find_consumed(connection, batch, commit) or Conflict(revision))
    if commit is not None and (refused := _find_precedence(connection, batch, commit)) is not None:
        return Written(refused)
    if commit is not None and not _mark_consumed(connection, commit, now):
        consumed = _find_consumed(connection, batch, commit)
        assert consumed is not None
        return Written(consumed)
    if not _ack(connection, batch):
        if commit is not None:
            connection.execute(_UNMARK, (digest_of(commit),))
        return Written(Fenced())
    if commit is not None:
        if commit.record is not None:
            records.write_workflows(
                connection, [change_of([commit], workflow, now, codec_of(connection))], now
            )
        write_timers(connection, [commit])
    for entry in batch.dead_letters:
        dead_letter(connection, entry)
    owner = worker_id if batch.claim_own else None
    rows = deliveries.send(connection, batch.messages, now, owner, batch.unowned)
    return Written(Committed(), tuple(rows))


def _find_precedence(
    connection: sqlite3.Connection, batch: WriteBatch, commit: Commit
) -> CommitResult | None:
    """Return the refusal of a commit that a cancellation or another run precedes, or None."""
    if batch.delivery is not None and yields_to_cancellation(commit):
        cancellation = pending_cancellation(connection, batch.delivery)
        if cancellation is not None:
            return CancellationPending(cancellation)
    begun = begun_id(commit)
    if begun is None:
        return None
    holder = find_holder(queries.with_id(connection, begun), commit.event)
    if holder is None:
        return None
    return _find_consumed(connection, batch, commit) or WorkflowIdTaken(holder)


def _ack(connection: sqlite3.Connection, batch: WriteBatch) -> bool:
    if batch.delivery_id is None or batch.worker_id is None:
        return True
    return deliveries.ack(connection, batch.delivery_id, batch.worker_id)


def _is_owned(connection: sqlite3.Connection, batch: WriteBatch) -> bool:
    if batch.delivery_id is None or batch.worker_id is None:
        return True
    return deliveries.is_owned(connection, batch.delivery_id, batch.worker_id)


def _find_consumed(
    connection: sqlite3.Connection, batch: WriteBatch, commit: Commit
) -> CommitResult | None:
    """Return the refusal of an event that was consumed, or None; remove that of a duplicate."""
    consumed = connection.execute(CONSUMED, (digest_of(commit),)).fetchone()
    if consumed is None:
        return None
    if not _is_owned(connection, batch):
        return Fenced()
    result = compare_digests(consumed[0], inbox_digest(commit.event))
    if isinstance(result, Duplicate):
        _ack(connection, batch)
    return result


def inbox_row(commit: Commit, now: int) -> tuple[bytes, int, str]:
    """Return the row that marks the event of a commit as consumed."""
    return digest_of(commit), now, inbox_digest(commit.event)


def _mark_consumed(connection: sqlite3.Connection, commit: Commit, now: int) -> bool:
    return bool(connection.execute(MARK, inbox_row(commit, now)).rowcount)


def digest_of(commit: Commit) -> bytes:
    """Return the digest of the consumption that a commit marks."""
    return consumption_digest(commit.handler, commit.event)


MARK: Final = "insert into inbox (digest, at, content) values (?, ?, ?) on conflict do nothing"
_UNMARK: Final = "delete from inbox where digest = ?"


def change_of(
    turns: Sequence[Commit], row: records.WorkflowRow | None, now: int, codec: Codec | None
) -> records.WorkflowChange:
    """Return the change by turns of one workflow, of which each has a record."""
    last = turns[-1].record
    assert last is not None
    history = [entry for turn in turns for entry in _history_rows(turn, now, codec)]
    return records.WorkflowChange(row, turns[0].before, last, history)


def write_timers(connection: sqlite3.Connection, commits: Sequence[Commit]) -> None:
    """Clear and set the timers of commits."""
    cleared, pending = last_timers(commits)
    timers.clear(connection, cleared)
    timers.schedule(connection, pending)


def _history_rows(commit: Commit, now: int, codec: Codec | None) -> list[records.HistoryRow]:
    """Return the history of a turn: the event that it consumed, and those that it emits."""
    assert commit.record is not None
    at = now if commit.now is None else to_milliseconds(commit.now)
    revision = commit.record.revision
    rows: list[records.HistoryRow] = [(revision, at, "consumed", encode_event(commit.event, codec))]
    rows += ((revision, at, "produced", encode_event(event, codec)) for event in commit.events)
    return rows
