"""Queues: the deliveries of one process, one queue per destination, one at a time per key."""

import asyncio
import random
from collections import deque
from typing import final

from attrs import define, field

from arvo.interpreters.ports.messages import (
    Delivery,
    Destination,
    is_cancellation,
    key_of,
    queue_of,
)


@define
class _Queue:
    """The deliveries that are ready in one queue, and the futures of the callers that wait."""

    ready: deque[Delivery] = field(factory=deque)
    waiters: deque["asyncio.Future[None]"] = field(factory=deque)


@final
@define(eq=False)
class InProcessQueues:
    """Delivers messages in the order in which they were added, each to one caller of `receive`.

    Deliveries of one key are taken one at a time: while one is taken, the others are blocked.
    *taken* maps `id(delivery)` to each delivery that was received and not released, oldest first.
    Every operation except `receive` is synchronous, and so atomic in an event loop.
    """

    taken: dict[int, Delivery] = field(factory=dict)
    _queues: dict[str, _Queue] = field(factory=dict)
    # For each key that is taken, or reserved by a postponed delivery: the deliveries that wait for
    # it. The first one may have it reserved.
    _blocked: dict[str, deque[Delivery]] = field(factory=dict)
    # By id: the timer that adds a delayed delivery, and the delivery.
    _delayed: dict[int, tuple[asyncio.TimerHandle, Delivery]] = field(factory=dict)

    def put(self, delivery: Delivery, *, first: bool = False) -> None:
        """Add a delivery at the end of its queue, or at the front with *first*."""
        queue = self._queues.setdefault(queue_of(delivery.message.to), _Queue())
        if first:
            queue.ready.appendleft(delivery)
        else:
            queue.ready.append(delivery)
        wake_one(queue.waiters)
        if is_cancellation(delivery.message):
            self.interrupt(delivery.message.to)

    def interrupt(self, to: Destination) -> None:
        """Notify the delivery of the same key that is taken: a cancellation of it has arrived."""
        key = key_of(to)
        for taken in self.taken.values():
            if key_of(taken.message.to) == key:
                taken.progress.on_cancellation()

    def postpone(self, delivery: Delivery, retried: Delivery, delay: float) -> None:
        """Replace a taken delivery by *retried*, which is ready after *delay* seconds.

        It keeps its key: the others of the key stay blocked until *retried* is released.
        """
        del self.taken[id(delivery)]
        key = key_of(delivery.message.to)
        if key is not None:
            # As the first one it has the key reserved.
            self._blocked[key].appendleft(retried)
        self.put_delayed(retried, delay)

    def put_delayed(self, delivery: Delivery, delay: float) -> None:
        """Add a delivery after *delay* seconds."""
        number = id(delivery)

        def on_due() -> None:
            del self._delayed[number]
            self.put(delivery)

        timer = asyncio.get_running_loop().call_later(delay, on_due)
        self._delayed[number] = timer, delivery

    async def receive(self, queue: str) -> Delivery:
        """Wait for the next delivery of a queue whose key is free, and take it."""
        waiting = self._queues.setdefault(queue, _Queue())
        while True:
            while waiting.ready:
                delivery = waiting.ready.popleft()
                if self._acquire_key(delivery):
                    self.taken[id(delivery)] = delivery
                    return delivery
            await wait_for_wake(waiting.waiters)

    def release(self, delivery: Delivery) -> None:
        """Remove a taken delivery, and make the next delivery of its key ready.

        Raises `KeyError` for a delivery that is not taken: to release twice would give the key to
        two workers.
        """
        del self.taken[id(delivery)]
        key = key_of(delivery.message.to)
        if key is None:
            return
        blocked = self._blocked[key]
        if blocked:
            self.put(blocked[0], first=True)
        else:
            del self._blocked[key]

    @property
    def ready(self) -> int:
        """The number of deliveries that wait to be received."""
        return sum(len(queue.ready) for queue in self._queues.values())

    @property
    def delayed(self) -> int:
        """The number of deliveries that wait for their delay."""
        return len(self._delayed)

    def shuffle_waiters(self, queue: str) -> None:
        """Change at random which of the waiting callers gets the next delivery of a queue."""
        if (waiting := self._queues.get(queue)) is not None:
            random.shuffle(waiting.waiters)

    def blocked_count(self, key: str | None) -> int:
        """Return how many deliveries wait until *key* is free."""
        return len(self._blocked.get(key, ())) if key is not None else 0

    def crowded_keys(self, limit: float) -> list[str]:
        """Return the keys that block *limit* deliveries or more."""
        return [key for key, blocked in self._blocked.items() if len(blocked) >= limit]

    def fail(self, error: Exception) -> None:
        """Raise *error* in every waiting `receive`."""
        for queue in self._queues.values():
            fail_all(queue.waiters, error)

    def starving_queues(self) -> dict[str, int]:
        """Map each queue with waiting callers and no ready delivery to the number of callers."""
        return {
            name: sum(not waiter.done() for waiter in queue.waiters)
            for name, queue in self._queues.items()
            if self.is_starving(name)
        }

    def is_starving(self, queue: str) -> bool:
        """Return whether a caller waits in a queue that has no ready delivery."""
        waiting = self._queues.get(queue)
        if waiting is None or waiting.ready:
            return False
        return any(not waiter.done() for waiter in waiting.waiters)

    def cancel_delays(self) -> list[Delivery]:
        """Cancel all delays, and return the deliveries that were delayed."""
        delayed = [delivery for _, delivery in self._delayed.values()]
        for timer, _ in self._delayed.values():
            timer.cancel()
        self._delayed.clear()
        return delayed

    def requeue_taken(self) -> None:
        """Put every taken delivery back at the front of its queue, in the order of taking."""
        for delivery in reversed(self.taken.values()):
            key = key_of(delivery.message.to)
            # The deliveries that it blocked follow it again.
            blocked = self._blocked.pop(key) if key is not None else deque()
            queue = self._queues.setdefault(queue_of(delivery.message.to), _Queue())
            queue.ready.extendleft(reversed((delivery, *blocked)))
        self.taken.clear()

    def clear_ready(self) -> None:
        """Remove every delivery that is not taken. Taken deliveries keep their keys."""
        for queue in self._queues.values():
            queue.ready.clear()
        keys = {key_of(delivery.message.to) for delivery in self.taken.values()}
        self._blocked = {key: deque() for key in keys if key is not None}

    def _acquire_key(self, delivery: Delivery) -> bool:
        """Return whether the delivery's key is free now; if not, block the delivery behind it."""
        key = key_of(delivery.message.to)
        if key is None:
            return True
        blocked = self._blocked.get(key)
        if blocked is None:
            self._blocked[key] = deque()
            return True
        # `release` or `postpone` has reserved the key for the first blocked delivery.
        if blocked and blocked[0] is delivery:
            blocked.popleft()
            return True
        blocked.append(delivery)
        return False


async def wait_for_wake(waiters: deque["asyncio.Future[None]"]) -> None:
    """Wait until `wake_one` picks this caller.

    If the caller is cancelled after it was picked, it wakes the next one instead: otherwise the
    wake-up would be lost.
    """
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled():
            wake_one(waiters)
        raise


def wake_one(waiters: deque["asyncio.Future[None]"]) -> None:
    """Wake the caller that has waited longest."""
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return


def fail_all(waiters: deque["asyncio.Future[None]"], error: Exception) -> None:
    """Raise *error* in all waiting callers."""
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_exception(error)
