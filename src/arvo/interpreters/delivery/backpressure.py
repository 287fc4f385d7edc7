"""Backpressure: makes senders wait while too many events are under way."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from attrs import define, field

from arvo.interpreters.delivery.queues import fail_all, wait_for_wake, wake_one

if TYPE_CHECKING:
    from asyncio import Future


@final
@define(eq=False)
class Backpressure:
    """Admits events while fewer than *limit* are under way, as far as this process knows.

    *depth* is the last known number of events under way in all processes, None before the first
    count. Between two counts the process adds its own changes to it.
    """

    limit: int
    depth: int | None = field(default=None, init=False)
    # Events that a sender has been admitted for and has not stored yet.
    _reserved: int = field(default=0, init=False)
    # All events that this process has stored.
    _stored: int = field(default=0, init=False)
    _senders: "deque[Future[None]]" = field(factory=deque, init=False)

    async def wait(self) -> None:
        """Wait until there is room for one more event."""
        while self._free() < 1:
            await wait_for_wake(self._senders)

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Count one event as under way while the caller stores it."""
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    async def recount(self, count: Callable[[], Awaitable[int]]) -> None:
        """Set the depth to a new count, and wake as many senders as there is room for.

        The count may lack the events that this process stores while it is under way, so these are
        added to it. Those that it has are counted twice until the next count: a sender may wait
        for a moment, but none passes a full queue.
        """
        before = self._stored
        depth = await count()
        self.update(depth + self._stored - before)

    def add(self, change: int) -> None:
        """Change the depth by the events that this process stored, or acknowledged (negative)."""
        self._stored += max(0, change)
        if self.depth is not None:
            self.update(max(0, self.depth + change))

    def update(self, depth: int) -> None:
        """Set the depth to a new count, and wake as many senders as there is room for."""
        self.depth = depth
        for _ in range(min(self._free(), len(self._senders))):
            wake_one(self._senders)

    def close(self, error: Exception) -> None:
        """Raise *error* in every waiting sender, and forget the depth."""
        self.depth = None
        fail_all(self._senders, error)

    def _free(self) -> int:
        return self.limit - (self.depth or 0) - self._reserved
