"""Ports: what a backend must do, and the words that it answers with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias, final, runtime_checkable

from attrs import frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record, Status
from arvo.core.violations.issue import one_line
from arvo.core.violations.violation import Violation
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler

# Where a backend delivers; an event for nobody never gets that far, it is buried at once.
Destination: TypeAlias = ToHandler | ToDomain | ToCaller


@final
@frozen
class Message:
    """An event on its way to where it goes."""

    event: Event[Any]
    to: Destination


@final
@frozen
class Delivery:
    """A post that was handed out, for the *attempt*-th time (1 is the first).

    It stays with the backend until it is settled by `commit`, `done`, `again` or `dead_letter`.
    *token* is the backend's own way to know it.
    """

    message: Message
    attempt: int
    token: object = None


@final
@frozen(kw_only=True)
class DeadLetter:
    """An event that nobody could take, kept for an operator.

    *id* names the letter; *at* is when it was buried (RFC 3339), *attempts* how often it was tried.
    *to* is where it was going, None where nobody has its address. *violation* is the promise that
    was broken, where it was one: its issues name each field.
    """

    id: str
    event: Event[Any]
    reason: str
    attempts: int
    at: str
    to: Destination | None = None
    violation: Violation | None = None


@final
@frozen(kw_only=True)
class StoredWorkflow:
    """A workflow as a backend keeps it: its *record*, when that *began* and last *changed*."""

    record: Record
    began: datetime
    changed: datetime

    def __str__(self) -> str:
        record = self.record
        said = f"{record.handler} {record.version}  {record.status}  since {self.changed:{_TIME}}"
        if record.failure is not None:
            said += f": {one_line(record.failure.message)}"
        elif record.status == "active":
            said += f", open requests: {len(record.unanswered)}, timers: {len(record.timers)}"
        return f"{said}\n  {record.subject}"


_TIME: Final = "%Y-%m-%d %H:%M:%S %Z"
# Workflows and lines of a history in one page: more than a person reads, less than fills a memory.
PAGE_MAX: Final = 100
HISTORY_PAGE_MAX: Final = 1_000


@final
@frozen
class Committed:
    """The commit is applied, and its events are on their way."""


@final
@frozen
class Conflict:
    """The record has moved on: load it and step again. *revision* is what the store holds."""

    revision: int


@final
@frozen
class Duplicate:
    """The event was consumed before: nothing is applied a second time."""


@final
@frozen
class Fenced:
    """The delivery was handed to another worker, for this one was taken for dead: nothing is
    applied, and the other one carries it through.
    """


CommitResult: TypeAlias = Committed | Conflict | Duplicate | Fenced


@final
@frozen(kw_only=True)
class Depth:
    """How much a backend holds: *ready* to be handed out, *taken* and not settled, *delayed*.

    *timers* that workflows have set wait for their time, and are not under way.
    """

    ready: int = 0
    taken: int = 0
    delayed: int = 0
    timers: int = 0

    @property
    def total(self) -> int:
        """Everything that is under way."""
        return self.ready + self.taken + self.delayed


class Unavailable(Exception):
    """The store or broker cannot be reached now: wait, and try again. Nothing was lost.

    *after*: seconds to wait at least, where the other side has said so.
    """

    def __init__(self, *said: object, after: float = 0.0) -> None:
        super().__init__(*said)
        self.after = after


class NoReply(Exception):
    """The event was taken, and no answer to it will come here: the text says why."""


class Corrupt(Exception):
    """The store holds what no version of ours wrote: stop, and call a person."""


class TooLarge(Exception):
    """A broker takes no event of this size; others go on. The text names the limit to raise."""


class Backend(Protocol):
    """Keeps records and delivers events; a step's commit is applied whole or not at all.

    Whatever `send`, `commit` and `dead_letter` have taken survives what the backend promises to
    survive. Posts of one `ToHandler.key` are handed out one at a time, in the order they came;
    others in the order they came as well, to as many takers as ask. Read
    `arvo.interpreters.memory.backend` before you write one. Operations raise `Unavailable` where
    waiting helps and `Corrupt` where it does not, nothing else; `send` and `redrive` raise
    `TooLarge` as well, where they take no event so large.
    """

    async def send(self, message: Message) -> None:
        """Take an event from outside. Waits while the queue is full: backpressure, not loss."""
        ...

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next post of a lane (see `queue_of`); waits for one."""
        ...

    async def load(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        ...

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send *posts*, bury *letters* and settle *delivery*, all or nothing.

        The commit's `alarms` are handed out when they are due, not before, to the handler that set
        them (`timer_message` says where); those it has `cleared` need not be handed out any more.

        Refused as `Conflict` where the record's revision is not the commit's `expected`, as
        `Duplicate` where this handler has consumed this event for this subject before, as `Fenced`
        where the delivery is another worker's by now; all but `Conflict` settle. A commit with
        neither a record nor an expected revision is about no workflow.
        """
        ...

    async def workflows(
        self,
        *,
        status: Status | None = None,
        handler: str | None = None,
        unchanged_since: datetime | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows, at most *limit*, the one that changed last first (then by subject, the
        highest first).

        Of one *status* and *handler* only, where those are given, and none that has changed at or
        after *unchanged_since*. *after* is the last one of the page before.
        """
        ...

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Give a workflow as `workflows` would list it."""
        ...

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Give the newest *limit* lines of a workflow's history, in order; those of a position
        below *before* only, where that is given.

        A line for each event that a commit with a record has consumed and produced, and for each
        `replace_record`. A backend may forget the oldest.
        """
        ...

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record outside of any delivery: a compare and set, all or nothing.

        *alarms* are armed, and the events in *again* handed out to the record's handler; that it
        has consumed any of them before is forgotten. Refused as `Conflict` where the store's
        revision is not *expected*. The record has a higher one, so a step that was decided on the
        old record is refused in its turn.
        """
        ...

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery that changed nothing of ours: it went out."""
        ...

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Settle a delivery to be handed out again after *delay* seconds; its key may go on.

        Where this raises `Unavailable`, the delivery is handed out again all the same.
        """
        ...

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Settle a delivery, if there is one, as a dead letter."""
        ...

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        ...

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the letter's name
        """Take a dead letter out and send *posts*, all or nothing; False: no such letter."""
        ...

    async def depth(self) -> Depth:
        """Say how much is under way."""
        ...

    async def wait_until_idle(self) -> None:
        """Wait until nothing is under way; timers may still wait for their time."""
        ...

    async def close(self) -> None:
        """Let go of everything; nobody receives any more."""
        ...


@runtime_checkable
class RetainsOutputs(Protocol):
    """A backend that keeps no histories, and still knows what a workflow said last."""

    async def produced(self, subject: str) -> tuple[Event[Any], ...]:
        """Give what the last turns of a workflow have produced, in order, as far as it is known."""
        ...


def timer_message(commit: Commit, timer: PendingTimer) -> Message:
    """Say where an alarm of a commit goes: back to the workflow that set it."""
    return Message(timer.event, ToHandler(commit.handler, commit.event.subject))


def queue_of(to: Destination) -> str:
    """Name the lane that a destination's posts wait in: one for each handler, one for outside."""
    match to:
        case ToHandler(address=address):
            return address
        case ToDomain():
            return OUTBOUND_QUEUE
        case ToCaller():
            return REPLY_QUEUE


def key_of(to: Destination) -> str | None:
    """Name the key of a destination: its posts are taken one at a time, in order; None: at once."""
    return to.key if isinstance(to, ToHandler) else None


# Lanes beside the handlers' addresses; no address looks like these (F007).
OUTBOUND_QUEUE = "(outside)"
REPLY_QUEUE = "(home)"
