"""Messages: an event with its destination, and its forms on the way: delivery, dead letter."""

from typing import Any, Final, TypeAlias, final

from attrs import evolve, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.violations.violation import Violation
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler

# `Unroutable` is missing on purpose: an event without a destination becomes a dead letter in the
# step that emits it, so a backend never sees one.
Destination: TypeAlias = ToHandler | ToDomain | ToCaller

# The queues that belong to no handler. A handler's address cannot contain parentheses.
OUTBOUND_QUEUE: Final = "(outbound)"
REPLY_QUEUE: Final = "(replies)"


@final
@frozen
class Message:
    """An event and its destination."""

    event: Event[Any]
    to: Destination


@final
@frozen
class Delivery:
    """A message that a backend has delivered to a worker, for the *attempt*-th time (from 1).

    The worker owns it until it settles it: by `commit`, `ack`, `nack`, `defer` or `dead_letter`.
    *token* is the backend's own reference to it: a row id, a lease, a broker's delivery tag.
    *deaths*: how many workers died while they processed it (see `CountsDeaths`); each counts as an
    attempt.
    """

    message: Message
    attempt: int
    token: object = None
    deaths: int = 0

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


def timer_message(commit: Commit, timer: PendingTimer) -> Message:
    """Make the message of a timer: it goes back to the workflow whose *commit* set the timer."""
    return Message(timer.event, ToHandler(commit.handler, commit.event.subject))


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
