"""Messages: an event with its destination, and its forms on the way: delivery, dead letter."""

from collections.abc import Awaitable, Callable, Iterable
from re import Match
from re import compile as pattern
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event, fill_data
from arvo.core.events.protocol import cancel_type
from arvo.core.violations.violation import Violation
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.handlers.effect import Performed
from arvo.interpreters.ports.observation import Observation
from arvo.printable import printable

# `Unroutable` is missing on purpose: an event without a destination becomes a dead letter in the
# step that emits it, so a backend never sees one.
Destination: TypeAlias = ToHandler | ToDomain | ToCaller

# The queues that belong to no handler. A handler's address cannot contain parentheses.
OUTBOUND_QUEUE: Final = "(outbound)"
REPLY_QUEUE: Final = "(replies)"

# The longest checkpoint. Results of effects beyond it are not stored, and are obtained again when
# the delivery is redelivered: a store must hold the checkpoint beside the record of the workflow.
PROGRESS_BYTES_MAX: Final = 262_144

# The part of a reason that is read for its cause, and the length of a cause: a database has an
# index of causes, whose rows are limited.
REASON_CHARACTERS_MAX: Final = 1_000
CAUSE_CHARACTERS_MAX: Final = 200


@final
@define(eq=False)
class PendingData:
    """The data of an event that is still in a blob store, and has to be fetched first.

    *fetch* returns the event with its data; raises `BlobUnavailable`, `BlobMissing` or
    `Undecodable`.
    *stand_in* makes the event that stands for the stored text, for a dead letter.
    """

    fetch: Callable[[], Awaitable[Event[Any]]]
    stand_in: Callable[[], Event[Any]]
    is_loaded: bool = field(default=False, init=False)


@final
@frozen
class Message:
    """An event and its destination.

    *outside*: another program put it into the broker, so the worker checks that it may enter. All
    other messages were checked when they were sent, or come from a handler. *unreadable*: why the
    codec of the backend could not decode it; the event then stands for the text, and becomes a dead
    letter. *pending*: the event has no data yet, until `load_data`; a backend needs none.
    """

    event: Event[Any]
    to: Destination
    outside: bool = False
    unreadable: str = ""
    pending: PendingData | None = field(default=None, eq=False, repr=False)

    @property
    def lacks_data(self) -> bool:
        """Whether the data of the event was not fetched yet."""
        return self.pending is not None and not self.pending.is_loaded

    async def load_data(self) -> None:
        """Fetch the data of the event, unless it has it; raises as `PendingData.fetch`."""
        pending = self.pending
        if pending is not None and not pending.is_loaded:
            # In place: the delivery is known to its backend by identity.
            fill_data(self.event, await pending.fetch())
            pending.is_loaded = True


@final
@define(eq=False)
class Progress:
    """The last checkpoint of a delivery, shared by all its attempts in one process.

    *data*: the checkpoint, empty where there is none, None until *read* has read it. *unstored*: a
    newer checkpoint that could not be written, as the backend was unavailable.
    *passed_over*: the ids of cancellations whose turn could not be decided, so that the delivery is
    committed in spite of them. *is_single*: a chain with the delivery was refused, so it is
    processed by itself. *on_cancellation* is called when a cancellation of the workflow arrives in
    this process while a worker has the delivery. *slots*: the ids of the slots that the delivery
    gives back when it is settled, None where it has acquired none. *observation*: what an observer
    of the worker has on the attempt that is in progress.
    """

    data: bytes | None = b""
    read: Callable[[], Awaitable[bytes]] | None = None
    unstored: bytes = b""
    passed_over: set[str] = field(factory=set)
    is_single: bool = False
    on_cancellation: Callable[[], None] = field(default=lambda: None)
    slots: tuple[str, ...] | None = None
    observation: Observation | None = None
    _performed: dict[str, list[Performed]] = field(factory=dict, init=False)

    def performed(self, event: Event[Any]) -> list[Performed]:
        """Return the results that this process has obtained for the turn of *event*.

        That is the event of the delivery, or a cancellation whose turn replaces it.
        """
        return self._performed.setdefault(event.id, [])

    async def load(self) -> bytes:
        """Return the checkpoint; the first call may read it from the store."""
        if self.data is None:
            self.data = b"" if self.read is None else await self.read()
        return self.data


@final
@frozen
class Delivery:
    """A message that a backend has delivered to a worker, for the *attempt*-th time (from 1).

    The worker owns it until it settles it: by `commit`, `ack`, `nack`, `defer` or `dead_letter`.
    *token* is the backend's own reference to it: a row id, a lease, a broker's delivery tag.
    *deaths*: how many workers died while they processed it (see `CountsDeaths`); each counts as an
    attempt.
    *progress* is the checkpoint of the attempts before.
    """

    message: Message
    attempt: int
    token: object = None
    deaths: int = 0
    progress: Progress = field(factory=Progress, eq=False, repr=False)

    @property
    def retried(self) -> "Delivery":
        """The same delivery as the next attempt."""
        return evolve(self, attempt=self.attempt + 1)


@final
@frozen(kw_only=True)
class DeadLetter:
    """An event that could not be processed, stored for an operator with the *reason*.

    *id* identifies the dead letter. *at* is the time it was stored (RFC 3339). *attempts* is the
    number of deliveries that were tried. *to* is the destination, None if the event has none.
    *violation* is the violation that stopped it, if any; its issues name each field.
    """

    id: str
    event: Event[Any]
    reason: str
    attempts: int
    at: str
    to: Destination | None = None
    violation: Violation | None = None

    @property
    def handler(self) -> str | None:
        """The address of the handler that it was for, None if it was for none of this system."""
        return self.to.address if isinstance(self.to, ToHandler) else None

    @property
    def cause(self) -> str:
        """The reason without what is of this one event: numbers, ids and the values it has.

        Dead letters of one fault have the same cause, in at most CAUSE_CHARACTERS_MAX characters.
        """
        text, violation = self.reason, self.violation
        if violation is not None:
            # An issue holds the actual value, too.
            parts = [f"{issue.path}: expected {issue.expected}" for issue in violation.issues]
            text = ": ".join((violation.message, "; ".join(parts))) if parts else violation.message
        text = _WORD.sub(_hide_number, text[:REASON_CHARACTERS_MAX])
        return printable(text, CAUSE_CHARACTERS_MAX)


# A word with a digit is an id, a subject, a count or an address, unless it is a version.
_WORD: Final = pattern(r"[\w.+/=-]+")
_VERSION: Final = pattern(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}\.?")


def _hide_number(match: Match[str]) -> str:
    word = match[0]
    has_digit = any(map(str.isdigit, word))
    return "…" if has_digit and not _VERSION.fullmatch(word) else word


def timer_message(commit: Commit, timer: PendingTimer) -> Message:
    """Make the message of a timer: it goes back to the workflow whose *commit* set the timer."""
    return Message(timer.event, ToHandler(commit.handler, commit.event.subject))


def is_cancellation(message: Message) -> bool:
    """Return True for the event that cancels a workflow."""
    match message.to:
        case ToHandler(address=address, key=str()):
            return message.event.type == cancel_type(address)
        case _:
            return False


def yields_to_cancellation(commit: Commit) -> bool:
    """Return True for a commit that a pending cancellation stops: it changes the workflow's record,
    and consumes no cancellation itself.
    """
    return commit.record is not None and commit.event.type != cancel_type(commit.handler)


def find_cancellation(
    events: Iterable[Event[Any]],
    delivery: Delivery,
    is_consumed: Callable[[Event[Any]], bool],
) -> Event[Any] | None:
    """Return the first of the waiting cancellations that *delivery* has to yield to.

    A duplicate that was consumed before cancels nothing.
    """
    passed_over = delivery.progress.passed_over
    return next((it for it in events if it.id not in passed_over and not is_consumed(it)), None)


def queue_of(to: Destination) -> str:
    """Return the queue of a destination: the handler's address, or a shared queue for the rest."""
    match to:
        case ToHandler(address=address):
            return address
        case ToDomain():
            return OUTBOUND_QUEUE
        case ToCaller():
            return REPLY_QUEUE


def key_of(to: Destination) -> str | None:
    """Return the ordering key of a destination.

    Messages of one key are delivered one at a time and in order. None: without any order.
    """
    return to.key if isinstance(to, ToHandler) else None
