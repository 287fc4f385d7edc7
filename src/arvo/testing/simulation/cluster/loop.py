"""Loop: a deterministic event loop with virtual time."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# The list to which every task is added that starts in this context, or in a task of it.
TASKS: "ContextVar[list[asyncio.Task[Any]]]" = ContextVar("TASKS")


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs ready callbacks in order, then moves its clock to the next timer.

    It depends on nothing outside: it has no selector and no clock, and it calls a function at once
    instead of in a thread. Timers of the same time fire in the order in which they were set.
    *errors* holds the contexts that were passed to the exception handler.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        self._time = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()
        self._running = False
        self._closed = False

    def run(self, until: float = inf, *, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Run until no callback and no timer is left, and return True.

        Return False when the next timer is later than *until*, or when *should_stop* returns True.
        """
        # Not `asyncio.run`: a simulation ends when all tasks wait, not when one of them is done.
        asyncio._set_running_loop(self)  # noqa: SLF001 - an event loop must set it
        self._running = True
        try:
            while not should_stop():
                if self._ready:
                    self._run_ready()
                elif not self._advance_clock(until):
                    return not self._timers
            return False
        finally:
            self._running = False
            asyncio._set_running_loop(None)  # noqa: SLF001

    def _run_ready(self) -> None:
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - an event loop runs handles

    def _advance_clock(self, until: float) -> bool:
        """Move the clock to the next timer; return False if there is none up to *until*."""
        while self._timers and self._timers[0][2].cancelled():
            heappop(self._timers)
        if not self._timers or self._timers[0][0] > until:
            return False
        self._time = max(self._time, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._time:
            self._ready.append(heappop(self._timers)[2])
        return True

    def time(self) -> float:
        return self._time

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._time + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Required by `TimerHandle`; `_advance_clock` skips cancelled timers."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, **options)
        TASKS.get([]).append(task)
        return task

    def run_in_executor(
        self, executor: object, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call *func* at once: a thread would make the run depend on scheduling."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the future has it
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._ready.clear()
        self._timers.clear()


async def wait_forever() -> None:
    """Wait until the task is cancelled."""
    await asyncio.get_running_loop().create_future()


def loop_time() -> float:
    """Return the time of the running loop, in seconds."""
    return asyncio.get_running_loop().time()
