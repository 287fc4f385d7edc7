"""Interruption: stops to wait for an effect when the workflow is cancelled."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.results import CancellationPending

T = TypeVar("T")

# How often a worker asks for a cancellation while an effect runs. One that arrives in its own
# process wakes it at once; one that is accepted by another process need not arrive here.
ASK_SECONDS: Final = 1.0


@final
@define(eq=False)
class Interruption:
    """Waits for effects of a workflow's delivery, as long as no cancellation of it is pending.

    *is_possible*: False where no cancellation interrupts the turn.
    """

    backend: Backend
    delivery: Delivery
    is_possible: bool
    ask_seconds: float = ASK_SECONDS
    _arrived: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def guard(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T | CancellationPending:
        """Return the result of *work*; if a cancellation is pending before it ends, return that.

        Then *work* is cancelled; if the cancellation was pending from the start, it does not start.
        """
        if not self.is_possible:
            return await work()
        self.delivery.progress.on_cancellation = self._arrived.set
        cancellation = await self._ask()
        if cancellation is not None:
            return CancellationPending(cancellation)
        working, waiting = asyncio.ensure_future(work()), asyncio.ensure_future(self._wait())
        tasks: set[asyncio.Future[Any]] = {working, waiting}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else CancellationPending(waiting.result())
        finally:
            for task in tasks:
                task.cancel()
            # Their exceptions are raised above, or have no reader.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self) -> Event[Any]:
        """Wait until a cancellation is pending, and return it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.ask_seconds):
                    await self._arrived.wait()
            self._arrived.clear()
            cancellation = await self._ask()
            if cancellation is not None:
                return cancellation

    async def _ask(self) -> Event[Any] | None:
        try:
            return await self.backend.pending_cancellation(self.delivery)
        except Unavailable:
            # The effect need not wait for the backend: the commit asks once more.
            return None
