"""Outbound: delivers the events that leave the system to the listeners of their domains."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, final

from attrs import define

from arvo.core.violations.violation import Violated
from arvo.engine.step.admit import admit_emitted
from arvo.engine.step.route import ToDomain
from arvo.engine.system.system import System
from arvo.interpreters.calls.bulkheads import Bulkheads
from arvo.interpreters.calls.listeners import BoundedListener, ListenerFailed, Listeners
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.runtime.dead_letters import DeadLetterWriter
from arvo.interpreters.runtime.retry import DeliveryRetry
from arvo.interpreters.runtime.stats import Stats

# Processes a delivery.
Process: TypeAlias = Callable[[Delivery], Awaitable[None]]

# The shortest delay before a delivery returns whose destination is stalled.
STALLED_SECONDS_MIN: Final = 1.0


@final
@define(eq=False)
class Outbound:
    """Calls the *listeners*, each within the bounds of its destination.

    *process* processes a delivery with a function, and returns it to the backend if that raises.
    """

    system: System
    backend: Backend
    retry: DeliveryRetry
    dead_letters: DeadLetterWriter
    stats: Stats
    listeners: Listeners
    bulkheads: Bulkheads
    process: Callable[[Delivery, Process], Awaitable[None]]

    async def deliver(self, delivery: Delivery, to: ToDomain) -> None:
        """Pass an event to the listener of its domain, in a task of that domain."""
        listener = self.listeners.find(to)
        if listener is None:
            reason = f"no listener for domain {to.domain!r} (see on_domain)"
            await self.dead_letters.write(delivery, reason)
            return

        async def work() -> None:
            await self.process(delivery, lambda each: self._call(listener, each))

        if not await self.bulkheads.submit(f"domain {to.domain}", work):
            await self.retry.return_unattempted(delivery, STALLED_SECONDS_MIN)

    async def _call(self, listener: BoundedListener, delivery: Delivery) -> None:
        """Call a listener with an event. If it raises, the event is not lost."""
        try:
            # An event that came over a wire or from a store has a payload of plain JSON.
            await listener.call(admit_emitted(self.system, delivery.message.event))
        except Violated as violated:
            # A retry cannot help: a person has to mend the contract or the listener.
            await self.retry.refuse(delivery, violated.violation)
        except ListenerFailed as failed:
            await self.retry.retry_later(delivery, str(failed), failed.after)
        else:
            await self.backend.ack(delivery)
            self.stats.sent_out += 1
