"""Observer: reports each delivery of a runtime when its outcome is durable."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, final

from attrs import define, field, frozen

from arvo.console.dev.deliveries import Deliveries, HandledDelivery
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.trace_context import TraceContext
from arvo.core.violations.violation import Violation
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.handlers.effect import Perform, Performed
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Destination, Message
from arvo.interpreters.ports.observation import Activity, Settled
from arvo.interpreters.ports.observer import Operation
from arvo.interpreters.worker.waits import Waits, wait_of

_NANOSECONDS: Final = 1_000_000_000


@final
class _Unobserved:
    """An effect or an operator's command, of which nothing is reported."""

    trace: TraceContext | None = None

    def follows(self, trace: TraceContext) -> None: ...

    def retried(self, attempt: int, wait: float, error: BaseException) -> None: ...

    def performed(self, done: Performed) -> None: ...


_UNOBSERVED: Final = _Unobserved()


@final
@define(eq=False)
class _Attempt:
    """One attempt at a message, which a worker has had since *began*, in nanoseconds since 1970."""

    deliveries: Deliveries
    message: Message
    number: int
    began: int
    trace: TraceContext | None = None

    def doing(self, activity: Activity) -> AbstractContextManager[None]:  # noqa: ARG002 - the protocol's
        return nullcontext()

    def performing(self, effect: Perform[Any]) -> AbstractContextManager[_Unobserved]:  # noqa: ARG002
        return nullcontext(_UNOBSERVED)

    def stepped(self, seconds: float) -> None: ...

    def forwarded(self, events: Sequence[Event[Any]]) -> None: ...

    def conflicted(self, revision: int) -> None: ...

    def settled(
        self,
        outcome: Settled,
        *,
        commit: Commit | None = None,  # noqa: ARG002
        violation: Violation | None = None,  # noqa: ARG002
        reason: str | None = None,  # noqa: ARG002
    ) -> None:
        if outcome == "discarded":
            return  # the message is delivered by itself next
        event = self.message.event
        self.deliveries.add(
            HandledDelivery(
                at=utc_now(),
                type=event.type,
                subject=event.subject,
                to=_address(self.message.to),
                attempt=self.number,
                outcome=outcome,
                seconds=(time.time_ns() - self.began) / _NANOSECONDS,
            )
        )


@final
@frozen(eq=False)
class DeliveryObserver:
    """Adds each delivery that the workers of a runtime have handled to *deliveries*."""

    deliveries: Deliveries
    _waits: Waits = field(factory=Waits, init=False)

    def received(
        self, message: Message, delivery: Delivery | None, began: int | None = None
    ) -> _Attempt:
        """Begin an attempt at a message."""
        attempt = 1 if delivery is None else delivery.attempt
        began = began or time.time_ns()
        if delivery is not None and attempt == 1:
            self._waits.add(wait_of(message.event, began))
        return _Attempt(self.deliveries, message, attempt, began)

    @property
    def wait_counts(self) -> tuple[int, ...]:
        """How long messages waited; see `CountsWaits`."""
        return self._waits.counts

    def sending(self, message: Message) -> AbstractContextManager[Message]:
        """Report nothing: the worker that takes the event does."""
        return nullcontext(message)

    def operating(
        self,
        verb: str,  # noqa: ARG002 - the protocol's
        subject: str | None,  # noqa: ARG002
    ) -> AbstractContextManager[Operation]:
        """Report nothing: the audit log has it."""
        return nullcontext(_UNOBSERVED)

    def committing(self) -> AbstractContextManager[None]:
        """Report nothing."""
        return nullcontext()

    def unavailable(self, error: Unavailable) -> None:
        """Report nothing: it is logged."""

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


def _address(to: Destination) -> str:
    match to:
        case ToHandler(address=address) | ToCaller(address=address):
            return address
        case ToDomain(domain=domain):
            return domain
