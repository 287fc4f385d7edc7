"""Memory broker: the shortest true broker; what it holds ends with the process."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Final, final

from attrs import define, evolve, field

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.ports.backend import Depth
from arvo.interpreters.ports.broker import Delivered, Message

# A clock that was set back is asked again, rather than trusted.
ASK_SECONDS_MIN: Final = 0.001


@final
@define(eq=False)
class MemoryBroker:
    """Queues in dicts, for one process. *now*: the clock that delays go by."""

    now: Callable[[], datetime] = utc_now
    _queues: dict[str, deque[Delivered]] = field(factory=dict, init=False)
    # Those that were handed out, by token, each with the iteration that it belongs to.
    _taken: dict[object, tuple[Delivered, object]] = field(factory=dict, init=False)
    _delayed: list[tuple[datetime, int, Delivered]] = field(factory=list, init=False)
    _numbers: "count[int]" = field(factory=count, init=False)
    _waiters: set["asyncio.Future[None]"] = field(factory=set, init=False)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Take messages."""
        for message in messages:
            if message.due is None:
                self._put(Delivered(message))
            else:
                self._delay(Delivered(message), message.due)
        self._wake()

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[Delivered, None]:
        """Hand out the messages of these queues, in the order they came."""
        me = object()
        try:
            while True:
                delivered = self._next(addresses, me)
                if delivered is None:
                    await self._news()
                else:
                    yield delivered
        finally:
            self._give_back(me)

    async def done(self, delivered: Delivered) -> None:
        """Forget a message."""
        self._taken.pop(delivered.token, None)

    async def again(self, delivered: Delivered, delay: float) -> None:
        """Hand a message out again after *delay* seconds."""
        if self._taken.pop(delivered.token, None) is not None:
            retried = evolve(delivered, attempt=delivered.attempt + 1)
            self._delay(retried, self.now() + timedelta(seconds=delay))
            self._wake()

    async def dead(self, delivered: Delivered, reason: str) -> None:  # noqa: ARG002 - kept by the pair
        """Forget a message that nobody could take."""
        self._taken.pop(delivered.token, None)

    async def depth(self) -> Depth:
        """Say how much is under way."""
        self._ripen()
        timers = sum(each.attempt == 1 for _, _, each in self._delayed)
        return Depth(
            ready=sum(map(len, self._queues.values())),
            taken=len(self._taken),
            delayed=len(self._delayed) - timers,
            timers=timers,
        )

    def _put(self, delivered: Delivered, *, first: bool = False) -> None:
        queue = self._queues.setdefault(delivered.message.address, deque())
        if first:
            queue.appendleft(delivered)
        else:
            queue.append(delivered)

    def _delay(self, delivered: Delivered, until: datetime) -> None:
        heappush(self._delayed, (until, next(self._numbers), delivered))

    def _ripen(self) -> None:
        """Make ready what was delayed until now."""
        now = self.now()
        while self._delayed and self._delayed[0][0] <= now:
            self._put(heappop(self._delayed)[2])
            self._wake()

    def _next(self, addresses: Sequence[str], taker: object) -> Delivered | None:
        self._ripen()
        for address in addresses:
            if queue := self._queues.get(address):
                # A token of its own each time: who was given up for dead settles nothing.
                delivered = evolve(queue.popleft(), token=next(self._numbers))
                self._taken[delivered.token] = delivered, taker
                return delivered
        return None

    def _give_back(self, taker: object) -> None:
        """Make ready again what an iteration has left behind, first of all."""
        left = [each for each, owner in self._taken.values() if owner is taker]
        for delivered in reversed(left):
            del self._taken[delivered.token]
            self._put(delivered, first=True)
        self._wake()

    async def _news(self) -> None:
        """Wait until something may have become ready."""
        wait = None
        if self._delayed:
            left = (self._delayed[0][0] - self.now()).total_seconds()
            wait = max(ASK_SECONDS_MIN, left)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
