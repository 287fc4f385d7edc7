"""Write batch: the changes of one call of the backend, as rows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias, final

import orjson
from attrs import field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.history import Kind
from arvo.core.record import Record
from arvo.interpreters.delivery.codec import (
    StoredMessage,
    consumption_digest,
    encode_destination,
    encode_event,
    encode_record_body,
)
from arvo.interpreters.ports.messages import (
    Delivery,
    Message,
    is_cancellation,
    key_of,
    queue_of,
    timer_message,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import CommitResult
from arvo.interpreters.postgres.statements.dead_letters import DeadLetterRow

# The hash of a text, as `Dsn.hash` makes it.
HashText: TypeAlias = Callable[[str], int]
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
    """A history entry as a new row; *position* counts from the first entry of the turn."""

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
class TurnRows:
    """The changes of a `Commit`.

    *subject*: the workflow whose revision has to be *expected*, None if no revision is compared.
    *yields_by*: the hash of the ordering key whose cancellations refuse it, None if none does.
    *content*: the record without its journal. *journal*: the entries from *journal_offset* on.
    """

    digest: bytes
    subject: str | None
    expected: int
    record: Record | None
    content: bytes
    journal: tuple[bytes, ...]
    journal_offset: int
    history: tuple[HistoryRow, ...]
    cleared_timers: tuple[str, ...]
    timers: tuple[TimerRow, ...]
    yields_by: int | None = None


@final
@frozen(kw_only=True, eq=False)
class WriteBatch:
    """A delivery to remove, and the changes to write if this worker still owns it.

    *delivery_id*: the row of *delivery*; both are None where there is none. *dead_letters*: see
    `DeadLetterRow`. *claim_own*: True if this worker shall own the new *deliveries* at once, as
    far as their keys are free. *size*: a rough estimate in bytes.
    """

    delivery_id: int | None = None
    delivery: Delivery | None = None
    turn: TurnRows | None = None
    deliveries: tuple[DeliveryRow, ...] = ()
    dead_letters: tuple[DeadLetterRow, ...] = ()
    claim_own: bool = False
    size: int = field(init=False)

    @size.default
    def _estimate_size(self) -> int:
        contents = [row.event for row in self.deliveries]
        contents += (content for *_, content in self.dead_letters)
        if self.turn is not None:
            turn = self.turn
            contents += (turn.content, *turn.journal, *(row.content for row in turn.history))
            contents += (timer.delivery.event for timer in turn.timers)
        return sum(map(len, contents)) + ROW_BYTES * (len(contents) + 1)

    @property
    def exclusive_keys(self) -> tuple[object, ...]:
        """The consumed event and the subject: two batches that share one need two transactions."""
        if self.turn is None:
            return ()
        subject = () if self.turn.subject is None else (self.turn.subject,)
        return (self.turn.digest, *subject)


@final
@frozen
class Written:
    """The result of a batch, and the new deliveries that this worker owns."""

    result: CommitResult
    rows: tuple[StoredMessage, ...] = ()


def delivery_row(message: Message, hash_text: HashText) -> DeliveryRow:
    """Encode a message."""
    key = key_of(message.to)
    return DeliveryRow(
        message,
        queue_of(message.to),
        None if key is None else hash_text(key),
        encode_destination(message.to),
        encode_event(message.event),
        is_cancellation(message),
    )


def turn_rows(
    commit: Commit, deliveries: Sequence[DeliveryRow], now: datetime, hash_text: HashText
) -> TurnRows:
    """Encode a commit, whose messages have been encoded as *deliveries*."""
    record = commit.record
    subject = None
    if record is not None:
        subject = record.subject
    elif commit.expected:
        subject = commit.event.subject
    return TurnRows(
        digest=consumption_digest(commit.handler, commit.event),
        subject=subject,
        expected=commit.expected,
        record=record,
        content=b"" if record is None else encode_record_body(record),
        journal=()
        if record is None
        else tuple(map(orjson.dumps, record.journal[commit.journal_offset :])),
        journal_offset=commit.journal_offset,
        history=() if record is None else _history_rows(commit, record, now, deliveries),
        cleared_timers=commit.cleared_timers,
        timers=timer_rows(
            [(timer, timer_message(commit, timer)) for timer in commit.timers], hash_text
        ),
        yields_by=hash_text(commit.event.subject) if yields_to_cancellation(commit) else None,
    )


def timer_rows(
    timers: Sequence[tuple[PendingTimer, Message]], hash_text: HashText
) -> tuple[TimerRow, ...]:
    """Encode timers; of two with the same id the later one counts."""
    rows = {
        timer.event.id: TimerRow(timer.event.id, timer.due, delivery_row(message, hash_text))
        for timer, message in timers
    }
    return tuple(rows.values())


def _history_rows(
    commit: Commit, record: Record, now: datetime, deliveries: Sequence[DeliveryRow]
) -> tuple[HistoryRow, ...]:
    # The history and the delivery hold an event in the same form, so it is encoded once.
    encoded = {id(row.message.event): row.event for row in deliveries}
    at = now if commit.now is None else commit.now
    contents: list[tuple[Kind, bytes]] = [("consumed", encode_event(commit.event))]
    contents += (
        ("produced", encoded.get(id(event)) or encode_event(event)) for event in commit.events
    )
    return tuple(
        HistoryRow(position, record.revision, kind, at, content)
        for position, (kind, content) in enumerate(contents)
    )
