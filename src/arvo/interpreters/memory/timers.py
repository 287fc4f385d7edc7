"""Timers: the pending timers of the memory backend, and the event loop timer for the next one."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import heappop, heappush
from typing import Final, final

from attrs import define, field

from arvo.core.commit import PendingTimer
from arvo.interpreters.delivery.operations import make_due_timer, select_timers
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import DueTimer

# Entries of deleted timers that the heap may hold before it is rebuilt.
HEAP_SLACK: Final = 64
# The shortest sleep before the clock is read again: a clock can be set back.
SLEEP_SECONDS_MIN: Final = 0.001
# The longest one: a clock can be set ahead, and a machine that slept counts no seconds of it.
SLEEP_SECONDS_MAX: Final = 1.0


@final
@define(eq=False)
class MemoryTimers:
    """Calls *on_due* with the message of each timer when it is due by the clock *now*."""

    now: Callable[[], datetime]
    on_due: Callable[[Message], None]
    _pending: dict[str, tuple[datetime, Message]] = field(factory=dict, init=False)
    # Due time and id. It may still hold timers that were deleted.
    _heap: list[tuple[datetime, str]] = field(factory=list, init=False)
    _handle: asyncio.TimerHandle | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._pending)

    def set(self, timers: Iterable[tuple[PendingTimer, Message]]) -> None:
        """Add timers, each with the message that is delivered when it is due."""
        added = list(timers)
        for timer, message in added:
            self._pending[timer.event.id] = timer.due, message
            heappush(self._heap, (timer.due, timer.event.id))
        if added:
            self.start()

    def page(self, handler: str | None, after: DueTimer | None, limit: int) -> tuple[DueTimer, ...]:
        """List timers, the next one first."""
        timers = (make_due_timer(due, message) for due, message in self._pending.values())
        return select_timers(timers, handler, after, limit)

    def delete(self, ids: Iterable[str]) -> None:
        """Delete the pending timers whose events have these ids."""
        for id_ in ids:
            self._pending.pop(id_, None)
        if len(self._heap) > 2 * len(self._pending) + HEAP_SLACK:
            # Timers that are deleted long before they are due would pile up.
            self._heap = sorted((due, id_) for id_, (due, _) in self._pending.items())

    def start(self) -> None:
        """Deliver the timers that are due, and sleep until the next one."""
        self.stop()
        now = self.now()
        while self._heap and self._heap[0][0] <= now:
            _, id_ = heappop(self._heap)
            timer = self._pending.pop(id_, None)
            if timer is not None:
                self.on_due(timer[1])
        if self._heap:
            seconds = (self._heap[0][0] - now).total_seconds()
            seconds = min(max(SLEEP_SECONDS_MIN, seconds), SLEEP_SECONDS_MAX)
            self._handle = asyncio.get_running_loop().call_later(seconds, self.start)

    def resume(self) -> None:
        """Start again after a `stop`, in a new event loop perhaps."""
        if self._heap and self._handle is None:
            self.start()

    def stop(self) -> None:
        """Deliver no timer until the next `start`."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
