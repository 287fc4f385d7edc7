"""Write batch: the changes of one commit or one chain, as rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import field, frozen

from arvo.core.begin import begun_ids
from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.digest import inbox_digest
from arvo.core.events.event import Event
from arvo.core.history import Kind
from arvo.core.record import Record
from arvo.engine.chain import is_of_workflow
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.codec import (
    StoredMessage,
    consumption_digest,
    encode_destination,
    encode_event,
)
from arvo.interpreters.ports.chains import expected_revisions, last_timers
from arvo.interpreters.ports.messages import (
    Delivery,
    Message,
    is_cancellation,
    key_of,
    queue_of,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import CommitResult
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.statements.dead_letters import DEAD_LETTER_CONTENT, DeadLetterRow

# A rough estimate of the cost of a row besides its content, so that no row counts as free.
ROW_BYTES: Final = 200


@final
@frozen
class DeliveryRow:
    """A message as a new row; *key* is a hash. *cancels*: it is the cancellation of a workflow."""

    message: Message
    queue: str
    key: int | None
    destination: bytes
    event: bytes
    cancels: bool


@final
@frozen
class HistoryRow:
    """A history entry as a new row; *position* counts from the first one of its batch."""

    position: int
    revision: int
    kind: Kind
    at: datetime
    content: bytes


@final
@frozen
class TimerRow:
    """A timer as a new row."""

    id: str
    due: datetime
    delivery: DeliveryRow


@final
@frozen(kw_only=True)
class TurnRow:
    """An event that a turn consumes, and what its turn depends on.

    *digest*: of the consumption. *event_digest*: the `inbox_digest` of the consumed event.
    *subject*: the workflow whose stored revision has to be *expected*, None if no revision is
    compared. *yields_by*: the hash of the ordering key whose cancellations refuse it, None if none
    does.
    """

    digest: bytes
    event_digest: str
    subject: str | None
    expected: int
    yields_by: int | None


@final
@frozen(kw_only=True)
class WorkflowRows:
    """The last record of a workflow, and the history of all its turns in a batch.

    *before*: the record that the first of these turns follows, see `Commit`.
    """

    record: Record
    before: Record | None
    history: tuple[HistoryRow, ...]


@final
@frozen(kw_only=True)
class Changes:
    """The changes of one `Commit`, or of those of a chain: *turns* in their order.

    *cleared_timers* are deleted before *timers* are set. *begun*: the `begun_ids` of the commits.
    """

    turns: tuple[TurnRow, ...] = ()
    workflows: tuple[WorkflowRows, ...] = ()
    cleared_timers: tuple[str, ...] = ()
    timers: tuple[TimerRow, ...] = ()
    begun: Mapping[tuple[str, str], Event[Any]] | None = field(factory=dict)


NO_CHANGES: Final = Changes()


@final
@frozen(kw_only=True, eq=False)
class WriteBatch:
    """A delivery to remove, and the changes to write if this worker still owns it.

    *delivery_ids*: the rows of *delivery* and its *followers*, empty where there is none; only a
    chain has followers (see `CommitChain`). *dead_letters*: see
    `DeadLetterRow`. *claim_own*: True if this worker shall own the new *deliveries* at once, as
    far as their keys are free; those of the *unowned* queues it never does. *is_chain*: it is a
    `CommitChain`, and is applied or refused without a reason. *passing_keys*: the hashes of those
    of the chain. *slots*: those of *delivery*. *size*: a rough estimate in bytes.
    """

    delivery_ids: tuple[int, ...] = ()
    delivery: Delivery | None = None
    followers: tuple[Delivery, ...] = ()
    changes: Changes = NO_CHANGES
    deliveries: tuple[DeliveryRow, ...] = ()
    dead_letters: tuple[DeadLetterRow, ...] = ()
    claim_own: bool = False
    unowned: Collection[str] = ()
    is_chain: bool = False
    passing_keys: tuple[int, ...] = ()
    slots: tuple[str, ...] = field(init=False)
    size: int = field(init=False)

    @slots.default
    def _find_slots(self) -> tuple[str, ...]:
        return () if self.delivery is None else self.delivery.progress.slots or ()

    @size.default
    def _estimate_size(self) -> int:
        contents = [row.event for row in self.deliveries]
        contents += (row[DEAD_LETTER_CONTENT] for row in self.dead_letters)
        for rows in self.changes.workflows:
            contents += (row.content for row in rows.history)
        contents += (timer.delivery.event for timer in self.changes.timers)
        return sum(map(len, contents)) + ROW_BYTES * (len(contents) + 1)

    @property
    def consumed(self) -> tuple[Delivery, ...]:
        """The deliveries to remove."""
        return () if self.delivery is None else (self.delivery, *self.followers)

    @property
    def exclusive_keys(self) -> tuple[object, ...]:
        """Consumed events, subjects, and workflow ids that are begun: two batches that share one
        need two transactions.
        """
        turns = self.changes.turns
        subjects = (turn.subject for turn in turns if turn.subject is not None)
        return (*(turn.digest for turn in turns), *subjects, *(self.changes.begun or ()))


@final
@frozen
class ChainRefused:
    """A chain was not applied; its delivery stays with the worker."""


@final
@frozen
class Written:
    """The result of a batch, and the new deliveries that this worker owns."""

    result: CommitResult | ChainRefused
    rows: tuple[StoredMessage, ...] = ()


def delivery_row(message: Message, dsn: Dsn) -> DeliveryRow:
    """Encode a message."""
    key = key_of(message.to)
    return DeliveryRow(
        message,
        queue_of(message.to),
        None if key is None else dsn.hash(key),
        encode_destination(message.to),
        encode_event(message.event, dsn.codec),
        is_cancellation(message),
    )


def commit_changes(
    commits: Sequence[Commit],
    deliveries: Sequence[DeliveryRow],
    now: datetime,
    dsn: Dsn,
) -> Changes:
    """Encode one commit, or those of a chain. *deliveries*: their messages, encoded."""
    expected = expected_revisions(commits)
    # The history and the delivery hold an event in the same form, so it is encoded once.
    encoded = {id(row.message.event): row.event for row in deliveries}
    recorded: dict[str, list[tuple[Commit, Record]]] = {}
    for commit in commits:
        if commit.record is not None:
            recorded.setdefault(commit.record.subject, []).append((commit, commit.record))
    cleared, timers = last_timers(commits)
    return Changes(
        turns=tuple(_turn_row(commit, expected, dsn) for commit in commits),
        workflows=tuple(
            _workflow_rows(turns, now, encoded, dsn.codec) for turns in recorded.values()
        ),
        cleared_timers=cleared,
        timers=timer_rows(timers, dsn),
        begun=begun_ids(commits),
    )


def _turn_row(commit: Commit, expected: Mapping[str, int], dsn: Dsn) -> TurnRow:
    subject = commit.event.subject if is_of_workflow(commit) else None
    return TurnRow(
        digest=consumption_digest(commit.handler, commit.event),
        event_digest=inbox_digest(commit.event),
        subject=subject,
        expected=0 if subject is None else expected[subject],
        yields_by=dsn.hash(commit.event.subject) if yields_to_cancellation(commit) else None,
    )


def _workflow_rows(
    turns: Sequence[tuple[Commit, Record]],
    now: datetime,
    encoded: dict[int, bytes],
    codec: Codec | None,
) -> WorkflowRows:
    """Encode the turns of one workflow. *encoded* maps the ids of events to their text."""
    (first, _), (_, last) = turns[0], turns[-1]
    entries = [entry for turn in turns for entry in _history_entries(*turn, now, encoded, codec)]
    return WorkflowRows(
        record=last,
        before=first.before,
        history=tuple(HistoryRow(position, *entry) for position, entry in enumerate(entries)),
    )


def _history_entries(
    commit: Commit,
    record: Record,
    now: datetime,
    encoded: dict[int, bytes],
    codec: Codec | None,
) -> Iterator[tuple[int, Kind, datetime, bytes]]:
    at = now if commit.now is None else commit.now
    kind: Kind = "consumed"
    for event in (commit.event, *commit.events):
        content = encoded.get(id(event))
        if content is None:
            # The next turn of a chain may consume the event that this one emits.
            content = encoded[id(event)] = encode_event(event, codec)
        yield record.revision, kind, at, content
        kind = "produced"


def timer_rows(timers: Sequence[tuple[PendingTimer, Message]], dsn: Dsn) -> tuple[TimerRow, ...]:
    """Encode timers; of two with the same id the later one counts."""
    rows = {
        timer.event.id: TimerRow(timer.event.id, timer.due, delivery_row(message, dsn))
        for timer, message in timers
    }
    return tuple(rows.values())
