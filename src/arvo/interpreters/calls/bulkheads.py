"""Bulkheads: bounds what each destination may occupy, so that one that hangs stops no other."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.interpreters.delivery.queues import wait_for_wake, wake_one
from arvo.interpreters.delivery.tasks import supervise

# Processes one delivery of a destination.
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

# A full destination is stalled when none of its work has ended within this time.
STALL_SECONDS: Final = 1.0
# Destinations that are served at the same time: handlers may emit to any number of domains.
DESTINATIONS_MAX: Final = 64


@define(eq=False)
class _Bulkhead:
    """One destination: how many tasks work for it, and the work that waits for one of them."""

    running: int = 0
    waiting: deque[Work] = field(factory=deque)
    progress_at: float = 0.0
    is_stalled: bool = False


@final
@define(eq=False)
class Bulkheads:
    """Runs the work of each destination in at most *size* tasks of its own; as much may wait.

    Where a destination is full, `submit` waits while it makes progress: while work ends within
    `STALL_SECONDS` of its start. Once the destination is stalled, `submit` returns False, and the
    caller returns the delivery to the backend. So a destination that hangs delays the others by
    `STALL_SECONDS` at most.
    """

    size: int
    # The tasks that run now; those of a process that ends have to be cancelled.
    tasks: set["asyncio.Task[None]"] = field(factory=set, init=False)
    _bulkheads: dict[str, _Bulkhead] = field(factory=dict, init=False)
    # Stands for the destinations beyond `DESTINATIONS_MAX`; it never has room.
    _excess: _Bulkhead = field(factory=_Bulkhead, init=False)
    _waiters: deque["asyncio.Future[None]"] = field(factory=deque, init=False)
    _failed: "asyncio.Future[None] | None" = field(default=None, init=False)

    async def submit(self, destination: str, work: Work) -> bool:
        """Run *work* in a task of its destination. Return False if the destination is stalled."""
        began = _time()
        while (bulkhead := self._find_room(destination)) is None:
            full = self._bulkheads.get(destination, self._excess)
            deadline = max(began, full.progress_at) + STALL_SECONDS
            if full.is_stalled or not await self._changes_before(deadline):
                full.is_stalled = True
                return False
        bulkhead.waiting.append(work)
        if bulkhead.running < self.size:
            bulkhead.running += 1
            task = supervise(
                self._run(destination, bulkhead), name=f"arvo {destination}", on_failure=self._fail
            )
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return True

    async def watch(self) -> None:
        """Wait until a task fails, and raise its exception."""
        self._failed = asyncio.get_running_loop().create_future()
        await self._failed

    async def close(self, seconds: float) -> None:
        """Wait until all work is done, for some seconds, and cancel the rest."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=seconds)
        self.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self._bulkheads.clear()

    def cancel(self) -> None:
        """Cancel the work that runs, and drop the work that waits."""
        for bulkhead in self._bulkheads.values():
            bulkhead.waiting.clear()
        for task in self.tasks:
            task.cancel()

    def _find_room(self, destination: str) -> _Bulkhead | None:
        """Return the destination's bulkhead, a new one if need be; None if it has no room."""
        bulkhead = self._bulkheads.get(destination)
        if bulkhead is None and len(self._bulkheads) < DESTINATIONS_MAX:
            bulkhead = self._bulkheads[destination] = _Bulkhead()
        if bulkhead is None or len(bulkhead.waiting) >= self.size:
            return None
        return bulkhead

    async def _run(self, destination: str, bulkhead: _Bulkhead) -> None:
        """Do the work that waits, one by one, until there is none."""
        try:
            while bulkhead.waiting:
                work, began = bulkhead.waiting.popleft(), _time()
                self._wake_all()
                await work()
                if _time() - began < STALL_SECONDS:
                    for one in (bulkhead, self._excess):
                        one.progress_at, one.is_stalled = _time(), False
        finally:
            bulkhead.running -= 1
            if not bulkhead.running and self._bulkheads.get(destination) is bulkhead:
                del self._bulkheads[destination]
                self._excess.is_stalled = False
            self._wake_all()

    async def _changes_before(self, deadline: float) -> bool:
        """Wait until work of any destination starts or ends; False if none does by *deadline*."""
        try:
            async with asyncio.timeout_at(deadline):
                await wait_for_wake(self._waiters)
        except TimeoutError:
            return False
        return True

    def _wake_all(self) -> None:
        for _ in range(len(self._waiters)):
            wake_one(self._waiters)

    def _fail(self, error: Exception) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)


def _time() -> float:
    return asyncio.get_running_loop().time()
