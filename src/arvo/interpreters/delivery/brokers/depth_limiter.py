"""Depth limiter: makes senders wait while the broker holds too many messages."""

import asyncio
from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports.broker import Broker, ReportsDepth
from arvo.interpreters.ports.errors import Unavailable

# The pause between two requests for the depth while the queue is full.
POLL_SECONDS: Final = 0.001


@final
@define(eq=False)
class DepthLimiter:
    """Admits messages while the broker reports fewer than *queue_max* under way.

    A broker that cannot count admits all.
    """

    broker: Broker
    queue_max: int
    _counting: ReportsDepth | None = field(init=False)
    _capacity: int = field(default=0, init=False)
    _closings: int = field(default=0, init=False)
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        # Checked once: `isinstance` with a protocol is slow.
        self._counting = self.broker if isinstance(self.broker, ReportsDepth) else None

    async def admit(self) -> None:
        """Wait until one more message may be published; raises `Unavailable` at `close`."""
        if self._counting is not None:
            # Senders wait in order, and one report of the depth serves as many of them as fit.
            async with self._turn:
                await self._reserve(self._counting)

    async def wait_for_room(self) -> None:
        """Wait as `admit` does, and reserve nothing."""
        if self._counting is not None:
            async with self._turn:
                await self._reserve(self._counting)
                self._capacity += 1

    def close(self) -> None:
        """Turn away the senders that wait."""
        self._closings += 1

    async def _reserve(self, broker: ReportsDepth) -> None:
        closings = self._closings
        while self._capacity <= 0:
            self._capacity = self.queue_max - (await broker.depth()).total
            if self._capacity <= 0:
                await asyncio.sleep(POLL_SECONDS)
            if closings != self._closings:
                raise Unavailable("the backend was closed before it took the event")
        self._capacity -= 1
