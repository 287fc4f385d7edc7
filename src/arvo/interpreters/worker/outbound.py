"""Outbound: delivers the events that leave the system, to their listeners and their callers."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, final

from attrs import define

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.violations.violation import Violated
from arvo.engine.step.admit import admit_emitted
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.engine.system.system import System
from arvo.interpreters.calls.bulkheads import Bulkheads
from arvo.interpreters.calls.listeners import BoundedListener, ListenerFailed, Listeners
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import REPLY_QUEUE, Delivery, Message
from arvo.interpreters.ports.observer import doing, settle
from arvo.interpreters.ports.results import IdReused
from arvo.interpreters.services.directory import ServiceDirectory
from arvo.interpreters.worker.dead_letters import DeadLetterWriter
from arvo.interpreters.worker.retry import DeliveryRetry
from arvo.interpreters.worker.stats import Stats

logger: Final = get_logger("worker")

# Processes a delivery.
Process: TypeAlias = Callable[[Delivery], Awaitable[None]]

# The shortest delay before a delivery returns whose destination is stalled.
STALLED_SECONDS_MIN: Final = 1.0


@final
@define(eq=False)
class Outbound:
    """Passes events to pending requests and to *listeners*, each within the bounds of its
    destination.

    *on_answered* resolves the pending request that an event answers; False if there is none.
    *process* processes a delivery with a function, and returns it to the backend if that raises.
    """

    system: System
    backend: Backend
    retry: DeliveryRetry
    dead_letters: DeadLetterWriter
    stats: Stats
    listeners: Listeners
    bulkheads: Bulkheads
    directory: ServiceDirectory
    on_answered: Callable[[Event[Any]], bool]
    process: Callable[[Delivery, Process], Awaitable[None]]

    async def send_out(self, delivery: Delivery, to: ToDomain) -> None:
        """Pass an event to the listener of its domain, in a task of that domain.

        Where only other processes have one, it is returned for them.
        """
        listener = self.listeners.find(to)
        if listener is None and await self.directory.is_listened(to.domain):
            await self.retry.return_unattempted(delivery, 0.0)
        elif listener is None:
            reason = f"no listener for domain {to.domain!r} (see on_domain)"
            await self.dead_letters.write(delivery, reason)
        else:
            await self._submit(listener, delivery, f"domain {to.domain}")

    async def report(self, delivery: Delivery, to: ToCaller) -> None:
        """Pass the outcome of a workflow to the listener of a subscription, which is here.

        No request gets it: a request gets the answer to its own address.
        """
        listener = self.listeners.find(to)
        assert listener is not None
        await self._submit(listener, delivery, f"subscription {to.address}")

    async def answer(self, delivery: Delivery, to: ToCaller) -> None:
        """Pass an answer to the request that is pending, or to the listener of its address.

        Where this process has neither, another process with the listener gets the answer. Where
        there is none, it is counted as unclaimed: its sender waits for no answer.
        """
        event = delivery.message.event
        if self.on_answered(event):
            with doing(delivery, "ack"):
                await self.backend.ack(delivery)
            self.stats.answered += 1
            settle(delivery, "answered")
            return
        listener = self.listeners.find(to)
        if listener is not None:
            await self._submit(listener, delivery, f"address {to.address}")
            return
        if await self._pass_on(delivery, to):
            return
        with doing(delivery, "ack"):
            await self.backend.ack(delivery)
        self.stats.unclaimed += 1
        extra = fields(event, address=to.address)
        logger.debug("no request and no listener takes an answer", extra=extra)
        settle(delivery, "unclaimed")

    async def _pass_on(self, delivery: Delivery, to: ToCaller) -> bool:
        """Move an answer to the queue that the workers with its listener serve.

        Return False if there are none. If there were some, the answer waits for them. Raises
        `Unavailable` where it is unknown which workers are live.
        """
        if to.address in await self.directory.callers():
            # A commit, because a backend that can moves a message in one transaction.
            event = delivery.message.event
            message = Message(event, ToHandler(to.address, None))
            commit = Commit(handler=REPLY_QUEUE, event=event)
            with doing(delivery, "commit"):
                result = await self.backend.commit(delivery, commit, [message], [])
            if isinstance(result, IdReused):
                # A handler that was repeated has answered twice; the first answer was passed on.
                with doing(delivery, "ack"):
                    await self.backend.ack(delivery)
            self.stats.released += 1
            settle(delivery, "released")
            return True
        if self.directory.remembers(to.address):
            await self.retry.wait_for_listener(delivery, to)
            return True
        return False

    async def _submit(
        self, listener: BoundedListener, delivery: Delivery, destination: str
    ) -> None:
        async def work() -> None:
            await self.process(delivery, lambda each: self._call(listener, each))

        if not await self.bulkheads.submit(destination, work):
            await self.retry.return_unattempted(delivery, STALLED_SECONDS_MIN)

    async def _call(self, listener: BoundedListener, delivery: Delivery) -> None:
        """Call a listener with an event. If it raises, the event is not lost."""
        try:
            await self._listen(listener, delivery)
        except Violated as violated:
            # A retry cannot help: a person has to mend the contract or the listener.
            await self.retry.refuse(delivery, violated.violation)
            return
        except ListenerFailed as failed:
            await self.retry.retry_later(delivery, str(failed), failed.after)
            return
        with doing(delivery, "ack"):
            await self.backend.ack(delivery)
        if isinstance(delivery.message.to, ToDomain):
            self.stats.sent_out += 1
            settle(delivery, "sent_out")
        else:
            self.stats.answered += 1
            settle(delivery, "answered")

    async def _listen(self, listener: BoundedListener, delivery: Delivery) -> None:
        event = delivery.message.event
        with doing(delivery, "listen"):
            # An event that came over a wire or from a store has a payload of plain JSON.
            await listener.call(admit_emitted(self.system, event))
