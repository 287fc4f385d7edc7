"""Observer: the protocol for watching the workers of a runtime, such as `arvo.telemetry`."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.trace_context import TraceContext, event_with_trace, trace_of
from arvo.core.violations.violation import Violation
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.observation import Activity, Observation, Settled


class Operation(Protocol):
    """An operator's command, while it is carried out."""

    @property
    def trace(self) -> TraceContext | None:
        """The trace that an event carries which the command sends again."""
        ...

    def follows(self, trace: TraceContext) -> None:
        """The command continues what *trace* shows, such as the turn that failed."""
        ...


class Observer(Protocol):
    """Watches the work of a client and its workers. No method may raise.

    Where a runtime has none, nothing is called.
    """

    def received(
        self, message: Message, delivery: Delivery | None, began: int | None = None
    ) -> Observation:
        """A worker takes a message in hand.

        *delivery*: None for an event that was never delivered: it is consumed in the process that
        emitted it or sent it. *began*: when that was, in nanoseconds since 1970; None: now.
        """
        ...

    def sending(self, message: Message) -> AbstractContextManager[Message]:
        """Enter this context to send an event from outside. It gives the message to send: with a
        trace, if the event has none.
        """
        ...

    def operating(self, verb: str, subject: str | None) -> AbstractContextManager[Operation]:
        """Enter this context for an operator's *verb*, such as `cancel`, on a workflow."""
        ...

    def unavailable(self, error: Unavailable) -> None:
        """The backend did not answer a worker."""
        ...

    def committing(self) -> AbstractContextManager[None]:
        """Enter this context to commit the turns of one tick, of any number of messages."""
        ...

    async def start(self) -> None:
        """The client or the runtime is entered."""
        ...

    async def close(self) -> None:
        """The runtime has stopped, and its backend is still open."""
        ...


def send_again(event: Event[Any], operation: Operation | None, after: Event[Any]) -> Event[Any]:
    """Return an event as an operator's command sends it again: with the trace of the command.

    The command follows the trace of *after*. An event whose trace is days old would else continue
    that.
    """
    if operation is None or operation.trace is None:
        return event
    follows = trace_of([after])
    if follows is not None:
        operation.follows(follows)
    return event_with_trace(event, operation.trace)


def doing(delivery: Delivery, activity: Activity) -> AbstractContextManager[None]:
    """Return the context for what a worker does with a delivery; see `Observation.doing`."""
    observation = delivery.progress.observation
    return nullcontext() if observation is None else observation.doing(activity)


def settle(
    delivery: Delivery,
    outcome: Settled,
    *,
    commit: Commit | None = None,
    violation: Violation | None = None,
    reason: str | None = None,
) -> None:
    """End the observation of a delivery, if there is one; see `Observation.settled`."""
    observation = delivery.progress.observation
    if observation is not None:
        delivery.progress.observation = None
        observation.settled(outcome, commit=commit, violation=violation, reason=reason)
