"""Requests: the events of this process that somebody waits for the answer to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, final

from attrs import define, field

from arvo.core.contracts.versioned import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.engine.step.admit import admit_made
from arvo.engine.step.route import reply_addresses
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.interpreters.ports.backend import Backend, NoReply, Unavailable
from arvo.interpreters.runtime.answer import look
from arvo.interpreters.runtime.request import Request


@final
@define(eq=False)
class Requests:
    """What is open, by the id of the event and the subject that its answer will have.

    `answered`, `refused` and `seen` are told what becomes of events, whether requested or not.
    """

    system: System
    backend: Backend
    _open: dict[tuple[str, str], Request] = field(factory=dict, init=False)

    async def ask(
        self, event: Event[Any], timeout: float, send: Callable[[Event[Any]], Awaitable[None]]
    ) -> Event[Any]:
        """Send an event and wait for its answer (see `Runtime.request`)."""
        key = event.id, _answer_subject(event)
        if key in self._open:
            issue = Issue("id", "an id that nobody waits for yet", repr(event.id))
            raise Violated(ExecutionViolation("this event is being requested already", issue))
        request = Request(event, asyncio.get_running_loop().create_future())
        self._open[key] = request
        taken = False
        try:
            async with asyncio.timeout(timeout):
                await send(event)
                taken = True
                # It may come over a wire or out of a store, where a payload is JSON.
                return admit_made(self.system, await self._answer(request))
        except TimeoutError:
            if not taken:
                said = f"event {event.id!r} was not taken within {timeout} s: the queue is full"
                raise Unavailable(said) from None
            said = f"event {event.id!r} was not answered within {timeout} s"
            raise TimeoutError(f"{said}; {await self._how_far(event)}") from None
        finally:
            del self._open[key]

    def answered(self, event: Event[Any]) -> None:
        """Hear of an event that went home."""
        request = self._open.get((event.parentid or "", event.subject))
        # Another sender may have given its own event the same id.
        if request is not None and event.to in reply_addresses(request.event):
            request.settle(event)

    def refused(self, event: Event[Any], why: Exception) -> None:
        """Hear of an event to which no answer will come, and why."""
        request = self._open.get((event.id, _answer_subject(event)))
        if request is not None and request.event.source == event.source:
            request.settle(why)

    def seen(self, event: Event[Any]) -> None:
        """Hear of an event that was consumed before; a mere redelivery is no news."""
        request = self._open.get((event.id, _answer_subject(event)))
        if request is not None and request.event is event:
            request.consumed.set()
            if not self._begins(event):
                request.settle(NoReply(f"event {event.id!r} was consumed before"))

    def stop(self) -> None:
        """Let nobody wait any more."""
        for request in self._open.values():
            if not request.answer.done():
                said = f"the runtime stopped before event {request.event.id!r} was answered"
                request.settle(NoReply(said))
                # Nobody may be left to hear it, and an exception that is never heard is printed.
                request.answer.exception()

    async def _answer(self, request: Request) -> Event[Any]:
        if not self._begins(request.event):
            return await request.answer
        looking = asyncio.create_task(look(self.backend, request), name="arvo look")
        try:
            return await request.answer
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def _begins(self, event: Event[Any]) -> bool:
        """Tell whether an event begins a workflow."""
        handler = self.system.handler_at(event.to)
        return event.type == event.to and not isinstance(handler, EventHandler)

    async def _how_far(self, event: Event[Any]) -> str:
        record = await self.backend.load(event.subject)
        dead_letters = [
            each
            for each in await self.backend.dead_letters()
            if each.event.subject == event.subject
        ]
        said = ""
        if dead_letters:
            # What broke is more to the point than what is still waited for.
            reason = dead_letters[-1].reason
            said = f"{len(dead_letters)} of its events are dead letters, the last: {reason}; "
        if record is None:
            return f"{said}nothing is remembered of its subject"
        open_ = [id_ for id_, replies in record.pending_requests.items() if not replies]
        return f"{said}its workflow is {record.status} and waits for answers to {open_}"


def _answer_subject(event: Event[Any]) -> str:
    """Name the subject of an event's answer: its parent's, where it begins a child (F127)."""
    parent = event.raw.get(PARENT_SUBJECT)
    return parent if isinstance(parent, str) else event.subject
