"""Answer: what comes of an event, waited for where several processes share the work."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from arvo.core.event import Event
from arvo.engine.route import askers
from arvo.handlers.event_handler import EventHandler
from arvo.interpreters.ports import Unanswered, Unavailable
from arvo.interpreters.runtime import Runtime

# How often a workflow is looked at while somebody waits for it.
LOOK_SECONDS_MIN: Final = 0.05
LOOK_SECONDS_MAX: Final = 1.0


async def answer_to(runtime: Runtime, event: Event[Any], seconds: float) -> Event[Any] | None:
    """Send an event and wait for its answer; None where none has come, or will.

    An answer goes home to whichever process takes it. So whoever begins a workflow also looks at
    it: when it has ended, its history has the answer. That holds for a client as well that sends
    the same event again, for it has lost its connection. Raises what `Runtime.request` raises.
    """
    asking = asyncio.create_task(runtime.request(event, timeout=seconds))
    if event.type != event.to or isinstance(runtime.system.handler_at(event.to), EventHandler):
        return await _asked(asking)
    finding = asyncio.create_task(_found(runtime, event))
    until = asyncio.get_running_loop().time() + seconds
    try:
        await asyncio.wait({asking, finding}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return await finding
        answer = await _asked(asking)
        if answer is None:
            async with asyncio.timeout_at(until):
                answer = await finding
        return answer
    except TimeoutError:
        return None
    finally:
        for task in (asking, finding):
            task.cancel()
        await asyncio.gather(asking, finding, return_exceptions=True)


async def _asked(asking: "asyncio.Task[Event[Any]]") -> Event[Any] | None:
    try:
        return await asking
    except (TimeoutError, Unanswered):
        return None


async def _found(runtime: Runtime, begin: Event[Any]) -> Event[Any] | None:
    """Look at the workflow that an event begins until it has ended, and give what it came to.

    None where its history does not reach back so far, or the backend keeps none.
    """
    wait = LOOK_SECONDS_MIN
    while True:
        await asyncio.sleep(wait)
        wait = min(2 * wait, LOOK_SECONDS_MAX)
        with suppress(Unavailable):
            record = await runtime.record(begin.subject)
            # Of another event of that subject it is no answer.
            if record is None or record.init != begin.id or record.status == "active":
                continue
            for line in reversed(await runtime.history(begin.subject)):
                event = line.event
                if line.kind == "produced" and event is not None and event.to in askers(begin):
                    return event
            return None
