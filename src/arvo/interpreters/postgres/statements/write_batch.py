"""Unit: what one call wants written, ready to be written together with others."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias, final

import orjson
from attrs import field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.record import Record
from arvo.interpreters.delivery.codec import (
    Row,
    destination_bytes,
    digest_of,
    event_bytes,
    letter_bytes,
    record_bytes,
)
from arvo.interpreters.ports.backend import (
    CommitResult,
    DeadLetter,
    Message,
    key_of,
    queue_of,
    timer_message,
)

# A text's hash, as `Address.hash` makes it.
Hash: TypeAlias = Callable[[str], int]
# What a row costs beside its content, roughly: that nothing weighs nothing.
ROW_BYTES: Final = 200


@final
@frozen
class Sending:
    """A post as a row that is to be: *key* is a hash."""

    post: Message
    lane: str
    key: int | None
    destination: bytes
    event: bytes


@final
@frozen
class Line:
    """A line of a history: *position* counts from the first that the turn writes."""

    position: int
    revision: int
    kind: str
    at: datetime
    content: bytes


@final
@frozen
class Armed:
    """A timer as a row that is to be."""

    id: str
    due: datetime
    sending: Sending


@final
@frozen(kw_only=True)
class Turn:
    """What a commit changes in tables: see `Commit`.

    *subject*: whose record is compared, None where nobody's is. *content*: the record without its
    journal, *journal*: the lines behind the first *kept*.
    """

    digest: bytes
    subject: str | None
    expected: int
    record: Record | None
    content: bytes
    journal: tuple[bytes, ...]
    kept: int
    history: tuple[Line, ...]
    cleared: tuple[str, ...]
    alarms: tuple[Armed, ...]


@final
@frozen(kw_only=True, eq=False)
class Unit:
    """A delivery to settle, if any, and what is written where it could be settled.

    *number*: the delivery's; None where there is none. *owns*: whether this process wants to have
    what it sends. *size*: bytes, roughly.
    """

    number: int | None = None
    turn: Turn | None = None
    sendings: tuple[Sending, ...] = ()
    letters: tuple[tuple[str, bytes], ...] = ()
    owns: bool = False
    size: int = field(init=False)

    @size.default
    def _weighed(self) -> int:
        contents = [sending.event for sending in self.sendings]
        contents += (content for _, content in self.letters)
        if self.turn is not None:
            turn = self.turn
            contents += (turn.content, *turn.journal, *(line.content for line in turn.history))
            contents += (armed.sending.event for armed in turn.alarms)
        return sum(map(len, contents)) + ROW_BYTES * (len(contents) + 1)

    @property
    def names(self) -> tuple[object, ...]:
        """Name what no two units of one transaction may be about."""
        if self.turn is None:
            return ()
        subject = () if self.turn.subject is None else (self.turn.subject,)
        return (self.turn.digest, *subject)


@final
@frozen
class Written:
    """What became of a unit, and the deliveries of it that this process has."""

    applied: CommitResult
    rows: tuple[Row, ...] = ()


def sending(message: Message, hashed: Hash) -> Sending:
    """Write a post as a row."""
    key = key_of(message.to)
    return Sending(
        message,
        queue_of(message.to),
        None if key is None else hashed(key),
        destination_bytes(message.to),
        event_bytes(message.event),
    )


def commit_unit(
    number: int,
    commit: Commit,
    messages: Sequence[Message],
    dead_letters: Sequence[DeadLetter],
    *,
    owns: bool,
    now: datetime,
    hashed: Hash,
) -> Unit:
    """Write a commit as rows."""
    record = commit.record
    subject = None
    if record is not None:
        subject = record.subject
    elif commit.expected:
        subject = commit.event.subject
    # An event is written the same in the history and on its way.
    sendings = tuple(sending(message, hashed) for message in messages)
    turn = Turn(
        digest=digest_of(commit.handler, commit.event),
        subject=subject,
        expected=commit.expected,
        record=record,
        content=b"" if record is None else record_bytes(record),
        journal=()
        if record is None
        else tuple(map(orjson.dumps, record.journal[commit.journal_offset :])),
        kept=commit.journal_offset,
        history=() if record is None else _history(commit, record, now, sendings),
        cleared=commit.cleared_timers,
        alarms=armed([(timer, timer_message(commit, timer)) for timer in commit.timers], hashed),
    )
    return Unit(
        number=number,
        turn=turn,
        sendings=sendings,
        letters=tuple((dead_letter.id, letter_bytes(dead_letter)) for dead_letter in dead_letters),
        owns=owns,
    )


def armed(timers: Sequence[tuple[PendingTimer, Message]], hashed: Hash) -> tuple[Armed, ...]:
    """Write timers as rows; of two with one id the later counts."""
    rows = {
        timer.event.id: Armed(timer.event.id, timer.due, sending(message, hashed))
        for timer, message in timers
    }
    return tuple(rows.values())


def _history(
    commit: Commit, record: Record, now: datetime, sendings: Sequence[Sending]
) -> tuple[Line, ...]:
    sent = {id(each.post.event): each.event for each in sendings}
    at = now if commit.now is None else commit.now
    contents = [("consumed", event_bytes(commit.event))]
    contents += (("produced", sent.get(id(event)) or event_bytes(event)) for event in commit.events)
    return tuple(
        Line(position, record.revision, kind, at, content)
        for position, (kind, content) in enumerate(contents)
    )
