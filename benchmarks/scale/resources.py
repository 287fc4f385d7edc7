"""Resources: a discrete-event simulation of time, cores and processes."""

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import TypeAlias, final

from attrs import define, field

Callback: TypeAlias = Callable[[], None]


@final
@define(eq=False)
class Clock:
    """Virtual time in milliseconds, with the callbacks that are scheduled."""

    now: float = 0.0
    _scheduled: list[tuple[float, int, Callback]] = field(factory=list)
    _order: "count[int]" = field(factory=count)

    def call_later(self, delay: float, callback: Callback) -> None:
        """Schedule *callback* in *delay* milliseconds."""
        heapq.heappush(self._scheduled, (self.now + delay, next(self._order), callback))

    def run(self, until: Callable[[], bool]) -> None:
        """Run callbacks until *until* returns True or none is left."""
        while self._scheduled and not until():
            self.now, _, callback = heapq.heappop(self._scheduled)
            callback()


@final
@define(eq=False)
class Machine:
    """A number of cores, used first come, first served.

    *speed*: the share of each core that other programs leave. *busy_ms*: CPU time used so far.
    """

    clock: Clock
    cores: int
    speed: float = 1.0
    busy_ms: float = 0.0
    _busy_cores: int = 0
    _waiting: deque[tuple[float, Callback]] = field(factory=deque)

    def use_core(self, ms: float, callback: Callback) -> None:
        """Use one core for *ms* of CPU time, then call *callback*."""
        if self._busy_cores == self.cores:
            self._waiting.append((ms, callback))
            return
        self._busy_cores += 1
        self.busy_ms += ms
        self.clock.call_later(ms / self.speed, lambda: self._release(callback))

    def _release(self, callback: Callback) -> None:
        self._busy_cores -= 1
        if self._waiting:
            self.use_core(*self._waiting.popleft())
        callback()


@final
@define(eq=False)
class Process:
    """A process with one thread: it does one thing at a time, on any core of its machine."""

    machine: Machine
    _is_busy: bool = False
    _waiting: deque[tuple[float, Callback]] = field(factory=deque)

    def compute(self, ms: float, callback: Callback) -> None:
        """Use *ms* of CPU time, then call *callback*."""
        if self._is_busy:
            self._waiting.append((ms, callback))
            return
        self._is_busy = True
        self.machine.use_core(ms, lambda: self._finish(callback))

    def _finish(self, callback: Callback) -> None:
        self._is_busy = False
        callback()
        if self._waiting and not self._is_busy:
            self.compute(*self._waiting.popleft())
