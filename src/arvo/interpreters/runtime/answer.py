"""Answer: what a workflow came to, looked up where it is kept, for whoever waits for it."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.engine.step.route import reply_addresses
from arvo.interpreters.ports.backend import Backend, Corrupt, NoReply, RetainsOutputs, Unavailable
from arvo.interpreters.runtime.operations import lines
from arvo.interpreters.runtime.request import Request

# How often a workflow is looked at while somebody waits for it.
LOOK_SECONDS_MIN: Final = 0.05
LOOK_SECONDS_MAX: Final = 1.0


async def look(backend: Backend, request: Request) -> None:
    """Look at the workflow that an event begins until it has ended, and settle the request.

    Its answer goes home to whichever process takes it, and went there long ago where the event was
    sent before. Where the store does not know it any more, it may still come here.
    """
    event, wait, was_consumed = request.event, LOOK_SECONDS_MIN, False
    while not request.answer.done():
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                # At once where it is told that the event was consumed before, but only once.
                await (asyncio.sleep(wait) if was_consumed else request.consumed.wait())
        was_consumed, wait = request.consumed.is_set(), min(2 * wait, LOOK_SECONDS_MAX)
        try:
            record = await backend.load(event.subject)
            is_its = record is not None and record.init == event.id
            if was_consumed and not is_its:
                request.settle(NoReply(f"event {event.id!r} was consumed before"))
            elif record is not None and is_its and record.status != "active":
                answer = await _answer(backend, event)
                if answer is not None:
                    request.settle(answer)
                elif was_consumed:
                    said = "was answered before, and by what is not remembered"
                    request.settle(NoReply(f"event {event.id!r} {said}"))
                return
        except Unavailable:
            continue
        except Corrupt as error:
            request.settle(error)


async def _answer(backend: Backend, begin: Event[Any]) -> Event[Any] | None:
    """Find the last event that a workflow has produced for whoever began it."""
    known = reply_addresses(begin)
    if isinstance(backend, RetainsOutputs):
        said = await backend.produced(begin.subject)
        return next((event for event in reversed(said) if event.to in known), None)
    async for line in lines(backend, begin.subject):
        if line.kind == "produced" and line.event is not None and line.event.to in known:
            return line.event
    return None
