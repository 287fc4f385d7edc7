"""Shared call: one request to a server for all the callers that wait for its result."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

from attrs import define, field

T = TypeVar("T")


@final
@define(eq=False)
class SharedCall(Generic[T]):
    """Calls *call* for many callers. Each gets the result of a call that began after its own.

    So a caller sees all that had happened before it asked, as if it had called by itself. While a
    call runs, the callers that come meanwhile share the next one.
    """

    call: Callable[[], Awaitable[T]]
    _running: "asyncio.Task[T] | None" = field(default=None, init=False)
    _next: "asyncio.Task[T] | None" = field(default=None, init=False)

    async def result(self) -> T:
        """Return the result of a call that begins after this one; raises what it raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._call_after(self._running))
            self._next.add_done_callback(_retrieve)
        # Shielded: other callers wait for it, too.
        return await asyncio.shield(self._next)

    async def _call_after(self, before: "asyncio.Task[T] | None") -> T:
        try:
            if before is not None:
                await asyncio.wait([before])
            self._running, self._next = self._next, None
            return await self.call()
        finally:
            if self._next is asyncio.current_task():
                self._next = None
            if self._running is asyncio.current_task():
                self._running = None


def _retrieve(task: "asyncio.Task[T]") -> None:
    """Retrieve an exception: all callers may be cancelled, and asyncio would print it."""
    if not task.cancelled():
        task.exception()
