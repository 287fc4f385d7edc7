"""Loop: an event loop whose time is virtual, and which does the same each time."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs what is ready in the order it came, and then moves its clock to the next timer.

    Nothing outside decides anything: no selector, no thread (what would go to one is called at
    once), no clock; timers of one time go off in the order they were set. *errors* is what was told
    to the exception handler.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        self._time = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()
        self._running = False
        self._closed = False

    def proceed(self, until: float = inf, *, enough: Callable[[], bool] = lambda: False) -> bool:
        """Run until nothing is left to do (True), the clock would pass *until*, or *enough*."""
        # Not `asyncio.run`: a simulation is over when all wait for each other, not when one ends.
        asyncio._set_running_loop(self)  # noqa: SLF001 - made for whoever writes a loop
        self._running = True
        try:
            while not enough():
                if self._ready:
                    self._moment()
                elif not self._next(until):
                    return not self._timers
            return False
        finally:
            self._running = False
            asyncio._set_running_loop(None)  # noqa: SLF001

    def _moment(self) -> None:
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - a loop is who runs handles

    def _next(self, until: float) -> bool:
        """Move on to the next timers, if there are any by *until*."""
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
        """Asked for by `TimerHandle`; a cancelled one is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self, name=name, **options)

    def run_in_executor(
        self, executor: object, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call it here and now, whatever the *executor*: a thread would bring chance in."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - told to whoever waits for it
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
