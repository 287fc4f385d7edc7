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
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage

# A clock that was set back is asked again, rather than trusted.
ASK_SECONDS_MIN: Final = 0.001


@final
@define(eq=False)
class MemoryBroker:
    """Queues in dicts, for one process. *now*: the clock that delays go by."""

    now: Callable[[], datetime] = utc_now
    _queues: dict[str, deque[EncodedDelivery]] = field(factory=dict, init=False)
    # Those that were handed out, by token, each with the iteration that it belongs to.
    _taken: dict[object, tuple[EncodedDelivery, object]] = field(factory=dict, init=False)
    _delayed: list[tuple[datetime, int, EncodedDelivery]] = field(factory=list, init=False)
    _numbers: "count[int]" = field(factory=count, init=False)
    _waiters: set["asyncio.Future[None]"] = field(factory=set, init=False)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Take messages."""
        for message in messages:
            if message.due is None:
                self._put(EncodedDelivery(message))
            else:
                self._delay(EncodedDelivery(message), message.due)
        self._wake()

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Hand out the messages of these queues, in the order they came."""
        me = object()
        try:
            while True:
                delivery = self._next(addresses, me)
                if delivery is None:
                    await self._news()
                else:
                    yield delivery
        finally:
            self._give_back(me)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Forget a message."""
        self._taken.pop(delivery.token, None)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Hand a message out again after *delay* seconds."""
        if self._taken.pop(delivery.token, None) is not None:
            retried = evolve(delivery, attempt=delivery.attempt + 1)
            self._delay(retried, self.now() + timedelta(seconds=delay))
            self._wake()

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:  # noqa: ARG002 - kept by the pair
        """Forget a message that nobody could take."""
        self._taken.pop(delivery.token, None)

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

    def _put(self, delivery: EncodedDelivery, *, first: bool = False) -> None:
        queue = self._queues.setdefault(delivery.message.address, deque())
        if first:
            queue.appendleft(delivery)
        else:
            queue.append(delivery)

    def _delay(self, delivery: EncodedDelivery, until: datetime) -> None:
        heappush(self._delayed, (until, next(self._numbers), delivery))

    def _ripen(self) -> None:
        """Make ready what was delayed until now."""
        now = self.now()
        while self._delayed and self._delayed[0][0] <= now:
            self._put(heappop(self._delayed)[2])
            self._wake()

    def _next(self, addresses: Sequence[str], taker: object) -> EncodedDelivery | None:
        self._ripen()
        for address in addresses:
            if queue := self._queues.get(address):
                # A token of its own each time: who was given up for dead settles nothing.
                delivery = evolve(queue.popleft(), token=next(self._numbers))
                self._taken[delivery.token] = delivery, taker
                return delivery
        return None

    def _give_back(self, taker: object) -> None:
        """Make ready again what an iteration has left behind, first of all."""
        left = [each for each, owner in self._taken.values() if owner is taker]
        for delivery in reversed(left):
            del self._taken[delivery.token]
            self._put(delivery, first=True)
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
