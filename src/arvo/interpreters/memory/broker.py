"""Broker: an in-memory broker, the shortest correct one; its messages end with the process."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Final, TypeAlias, final

from attrs import define, evolve, field

from arvo.interpreters.delivery.brokers.ordering import ordering_key
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.results import Depth
from arvo.interpreters.reports.local import LocalReports

# The shortest wait for a delayed message. After it the clock is read again, for it may have been
# set back meanwhile.
WAIT_SECONDS_MIN: Final = 0.001


Key: TypeAlias = tuple[str, str]  # queue, ordering key


@final
@define(eq=False)
class MemoryBroker:
    """A broker for one process, with its queues in dicts. *now*: the clock that delays go by.

    The messages of one key are delivered one at a time, in the order in which they were published.
    """

    now: Callable[[], datetime] = utc_now
    reports: LocalReports = field(factory=LocalReports, init=False)
    _queues: dict[str, deque[EncodedDelivery]] = field(factory=dict, init=False)
    # For each key that is in flight, or reserved by a returned delivery: the deliveries behind it.
    # The first one may have the key reserved.
    _blocked: dict[Key, deque[EncodedDelivery]] = field(factory=dict, init=False)
    _total: int = field(default=0, init=False)
    # The deliveries that are not settled, by token, each with the iteration that it belongs to.
    _in_flight: dict[object, tuple[EncodedDelivery, object]] = field(factory=dict, init=False)
    _delayed: list[tuple[datetime, int, EncodedDelivery]] = field(factory=list, init=False)
    _numbers: "count[int]" = field(factory=count, init=False)
    _waiters: set["asyncio.Future[None]"] = field(factory=set, init=False)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages."""
        self._total += len(messages)
        for message in messages:
            if message.due is None:
                self._put(EncodedDelivery(message))
            else:
                self._delay(EncodedDelivery(message), message.due)
        self._wake()

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these queues, in the order in which they were published."""
        consumer = object()
        try:
            while True:
                delivery = self._next(queues, consumer)
                if delivery is None:
                    await self._wait()
                else:
                    yield delivery
        finally:
            self._return_all(consumer)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Delete a message."""
        self._settle(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds, before the others of its key."""
        if self._in_flight.pop(delivery.token, None) is not None:
            retried = self._retry(delivery, delay)
            if (key := _key_of(delivery)) is not None:
                self._blocked[key].appendleft(retried)

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; the others of its key pass it."""
        if self._in_flight.pop(delivery.token, None) is not None:
            self._free_key(delivery)
            self._retry(delivery, delay)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:  # noqa: ARG002 - the pair stores it
        """Delete a message that cannot be processed."""
        self._settle(delivery)

    async def has_others(self, delivery: EncodedDelivery) -> bool:
        """Return whether another message of the key of *delivery* is stored."""
        key = _key_of(delivery)
        if key is None or delivery.token not in self._in_flight:
            return True
        ready = self._queues.get(delivery.message.queue, ())
        return bool(self._blocked[key]) or any(_key_of(each) == key for each in ready)

    async def depth(self) -> Depth:
        """Count the messages."""
        self._put_due()
        timers = sum(delivery.attempt == 1 for _, _, delivery in self._delayed)
        return Depth(
            ready=self._total - len(self._in_flight) - len(self._delayed),
            taken=len(self._in_flight),
            delayed=len(self._delayed) - timers,
            timers=timers,
        )

    def _settle(self, delivery: EncodedDelivery) -> None:
        if self._in_flight.pop(delivery.token, None) is not None:
            self._total -= 1
            self._free_key(delivery)

    def _retry(self, delivery: EncodedDelivery, delay: float) -> EncodedDelivery:
        retried = evolve(delivery, attempt=delivery.attempt + 1)
        self._delay(retried, self.now() + timedelta(seconds=delay))
        self._wake()
        return retried

    def _free_key(self, delivery: EncodedDelivery) -> None:
        """Make the next delivery of a key ready."""
        key = _key_of(delivery)
        if key is None:
            return
        if blocked := self._blocked[key]:
            self._put(blocked[0], first=True)
            self._wake()
        else:
            del self._blocked[key]

    def _acquire_key(self, delivery: EncodedDelivery) -> bool:
        """Return whether the delivery's key is free now; if not, block the delivery behind it."""
        key = _key_of(delivery)
        if key is None:
            return True
        blocked = self._blocked.get(key)
        if blocked is None:
            self._blocked[key] = deque()
            return True
        if blocked and blocked[0] is delivery:
            blocked.popleft()
            return True
        blocked.append(delivery)
        return False

    def _put(self, delivery: EncodedDelivery, *, first: bool = False) -> None:
        queue = self._queues.setdefault(delivery.message.queue, deque())
        if first:
            queue.appendleft(delivery)
        else:
            queue.append(delivery)

    def _delay(self, delivery: EncodedDelivery, until: datetime) -> None:
        heappush(self._delayed, (until, next(self._numbers), delivery))

    def _put_due(self) -> None:
        """Move the delayed messages whose time has come to their queues."""
        now = self.now()
        while self._delayed and self._delayed[0][0] <= now:
            self._put(heappop(self._delayed)[2])
            self._wake()

    def _next(self, queues: Sequence[str], consumer: object) -> EncodedDelivery | None:
        self._put_due()
        for name in queues:
            queue = self._queues.get(name)
            while queue:
                delivery = queue.popleft()
                if not self._acquire_key(delivery):
                    continue
                # A new token for each delivery: a consumer that lost the message settles nothing.
                delivery = evolve(delivery, token=next(self._numbers))
                self._in_flight[delivery.token] = delivery, consumer
                return delivery
        return None

    def _return_all(self, consumer: object) -> None:
        """Put the unsettled deliveries of an iteration back to the front of their queues."""
        unsettled = [delivery for delivery, owner in self._in_flight.values() if owner is consumer]
        for delivery in reversed(unsettled):
            del self._in_flight[delivery.token]
            attempt, returns = delivery.attempt + 1, delivery.returns + 1
            returned = evolve(delivery, attempt=attempt, returns=returns)
            key = _key_of(delivery)
            # The deliveries that it blocked follow it again.
            blocked = self._blocked.pop(key) if key is not None else deque()
            for each in reversed((returned, *blocked)):
                self._put(each, first=True)
        self._wake()

    async def _wait(self) -> None:
        """Wait until a message may be ready."""
        timeout = None
        if self._delayed:
            seconds = (self._delayed[0][0] - self.now()).total_seconds()
            timeout = max(WAIT_SECONDS_MIN, seconds)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()


def _key_of(delivery: EncodedDelivery) -> Key | None:
    key = ordering_key(delivery.message)
    return None if key is None else (delivery.message.queue, key)
