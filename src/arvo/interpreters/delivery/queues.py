"""Queues: the deliveries of one process, one queue per destination, one at a time per key."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    # The queues with ready deliveries, and the number of those by key; None: without one.
    _filled: dict[str, None] = field(factory=dict)
    _ready_keys: Counter[str | None] = field(factory=Counter)
    # The number of ready deliveries.
    ready: int = field(default=0, init=False)
    _failure: Exception | None = field(default=None, init=False)
    # The callers of `poll`: the queues that each one serves, and what wakes it.
    _subscribers: deque[tuple[Mapping[str, int], Callable[[], None]]] = field(factory=deque)

    def put(self, delivery: Delivery, *, first: bool = False) -> None:
        """Add a delivery at the end of its queue, or at the front with *first*."""
        name = queue_of(delivery.message.to)
        queue = self._push(name, delivery, first=first)
        wake_one(queue.waiters)
        if self._subscribers:
            # In turn: where several serve the queue, one may lack the version that another has.
            self._subscribers.rotate()
            for queues, on_ready in self._subscribers:
                if name in queues:
                    on_ready()
        if is_cancellation(delivery.message):
            self.interrupt(delivery.message.to)

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* with each delivery that is added to one of *queues*."""
        self._subscribers.append((queues, on_ready))
        if any(name in queues for name in self._filled):
            on_ready()

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self._subscribers = deque(it for it in self._subscribers if it[1] != on_ready)

    def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Take the ready deliveries of *queues* whose key is free: as many as *queues* says of each
        queue, and *limit* in all.
        """
        if self._failure is not None:
            error, self._failure = self._failure, None
            raise error
        taken: list[Delivery] = []
        for name in tuple(self._filled):
            number = len(taken) + min(queues.get(name, 0), limit - len(taken))
            while len(taken) < number and (delivery := self._pop(name)) is not None:
                if self._acquire_key(delivery):
                    self.taken[id(delivery)] = delivery
                    taken.append(delivery)
            if name in self._filled:
                # Behind the others: a full queue must not keep them from being polled.
                self._filled[name] = self._filled.pop(name)
        return taken

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield the deliveries that a taken one blocks, in their order."""
        key = key_of(delivery.message.to)
        return iter(self._blocked.get(key, ()) if key is not None else ())

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return whether a delivery of *key* besides *deliveries* is ready, taken or postponed.

        *deliveries*: none, or one that is taken and the first of its followers.
        """
        if self._ready_keys[key]:
            return True
        blocked = self._blocked.get(key)
        if blocked is None:
            return False
        is_own = bool(deliveries) and key_of(deliveries[0].message.to) == key
        return not is_own or len(blocked) >= len(deliveries)

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
        self.park(delivery, retried)
        self.put_delayed(retried, delay)

    def park(self, delivery: Delivery, parked: Delivery) -> None:
        """Replace a taken delivery by *parked*, which keeps its key, until it is `put`."""
        del self.taken[id(delivery)]
        key = key_of(delivery.message.to)
        if key is not None:
            # As the first one it has the key reserved.
            self._blocked[key].appendleft(parked)

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
            while (delivery := self._pop(queue)) is not None:
                if self._acquire_key(delivery):
                    self.taken[id(delivery)] = delivery
                    return delivery
            await wait_for_wake(waiting.waiters)

    def release(self, delivery: Delivery, followers: Sequence[Delivery] = ()) -> None:
        """Remove a taken delivery and the first of its followers, and make the next delivery of
        their key ready.

        Raises `KeyError` for a delivery that is not taken: to release twice would give the key to
        two workers.
        """
        del self.taken[id(delivery)]
        key = key_of(delivery.message.to)
        if key is None:
            return
        blocked = self._blocked[key]
        for follower in followers:
            # Unless they were all dropped meanwhile, because the store has released them.
            if blocked and blocked[0] is follower:
                blocked.popleft()
        if blocked:
            self.put(blocked[0], first=True)
        else:
            del self._blocked[key]

    def drop(self, delivery: Delivery) -> None:
        """Remove a taken delivery and all that wait behind it: another process may take them."""
        del self.taken[id(delivery)]
        key, name = key_of(delivery.message.to), queue_of(delivery.message.to)
        if key is None:
            return
        del self._blocked[key]
        if not self._ready_keys[key] or name not in self._filled:
            return
        ready = self._queues[name].ready
        left = [each for each in ready if key_of(each.message.to) != key]
        self.ready -= len(ready) - len(left)
        self._ready_keys[key] -= len(ready) - len(left)
        if not self._ready_keys[key]:
            del self._ready_keys[key]
        ready.clear()
        ready.extend(left)
        if not left:
            del self._filled[name]

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
        """Raise *error* in every waiting `receive`, and in the next `poll`."""
        for queue in self._queues.values():
            fail_all(queue.waiters, error)
        if self._subscribers:
            self._failure = error
            for _, on_ready in self._subscribers:
                on_ready()

    def is_filled(self, queue: str) -> bool:
        """Return whether a queue has a ready delivery."""
        return queue in self._filled

    def wants(self, queue: str) -> bool:
        """Return whether callers want more deliveries of a queue than are ready."""
        waiting = self._queues.get(queue)
        ready = 0 if waiting is None else len(waiting.ready)
        if any(room.get(queue, 0) > ready for room, _ in self._subscribers):
            return True
        return self.is_starving(queue)

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
            for each in reversed((delivery, *blocked)):
                self._push(queue_of(delivery.message.to), each, first=True)
        self.taken.clear()

    def clear_ready(self) -> None:
        """Remove every delivery that is not taken. Taken deliveries keep their keys."""
        for queue in self._queues.values():
            queue.ready.clear()
        self._filled.clear()
        self._ready_keys.clear()
        self.ready = 0
        keys = {key_of(delivery.message.to) for delivery in self.taken.values()}
        self._blocked = {key: deque() for key in keys if key is not None}

    def _push(self, name: str, delivery: Delivery, *, first: bool) -> _Queue:
        """Make a delivery ready in a queue, which is returned."""
        queue = self._queues.setdefault(name, _Queue())
        if first:
            queue.ready.appendleft(delivery)
        else:
            queue.ready.append(delivery)
        self._filled[name] = None
        self._ready_keys[key_of(delivery.message.to)] += 1
        self.ready += 1
        return queue

    def _pop(self, name: str) -> Delivery | None:
        """Remove the first ready delivery of a queue."""
        queue = self._queues.get(name)
        if queue is None or not queue.ready:
            return None
        delivery = queue.ready.popleft()
        if not queue.ready:
            del self._filled[name]
        key = key_of(delivery.message.to)
        self._ready_keys[key] -= 1
        if not self._ready_keys[key]:
            del self._ready_keys[key]
        self.ready -= 1
        return delivery

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
