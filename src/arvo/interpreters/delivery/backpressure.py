"""Room: how many events may be under way before whoever sends has to wait."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from attrs import define, field

from arvo.interpreters.delivery.queues import fail_all, wait_in, wake_one

if TYPE_CHECKING:
    from asyncio import Future


@final
@define(eq=False)
class Room:
    """Counts events under way, as far as this process has heard, up to *most*."""

    most: int
    # None until they were counted for the first time.
    depth: int | None = field(default=None, init=False)
    _entering: int = field(default=0, init=False)
    _senders: "deque[Future[None]]" = field(factory=deque, init=False)

    async def enough(self) -> None:
        """Wait until there is room for one more."""
        while self._left() < 1:
            await wait_in(self._senders)

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Keep a place for one that is on its way in."""
        self._entering += 1
        try:
            yield
        finally:
            self._entering -= 1

    def add(self, many: int) -> None:
        """Hear that so many came, or went where it is below 0."""
        if self.depth is not None:
            self.counted(max(0, self.depth + many))

    def counted(self, depth: int) -> None:
        """Hear how many there are, and let in as many as there is room for."""
        self.depth = depth
        for _ in range(min(self._left(), len(self._senders))):
            wake_one(self._senders)

    def close(self, error: Exception) -> None:
        """Let nobody wait any more."""
        self.depth = None
        fail_all(self._senders, error)

    def _left(self) -> int:
        return self.most - (self.depth or 0) - self._entering
