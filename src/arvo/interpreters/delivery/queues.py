"""Lanes: deliveries of one process, handed out one lane each, those of one key one at a time."""

import asyncio
from collections import deque
from typing import final

from attrs import define, field

from arvo.interpreters.ports.backend import Delivery, key_of, queue_of


@define
class _Lane:
    """What waits for one destination, and who waits for it."""

    ready: deque[Delivery] = field(factory=deque)
    takers: deque["asyncio.Future[None]"] = field(factory=deque)


@final
@define(eq=False)
class Lanes:
    """Hands deliveries out in the order they came, to whoever waits in their lane.

    *taken* are those handed out and not settled, in the order they were taken. No operation but
    `receive` waits, so each is whole.
    """

    taken: dict[int, Delivery] = field(factory=dict)
    _lanes: dict[str, _Lane] = field(factory=dict)
    # Keys that somebody works on, each with the deliveries that wait for their turn.
    _busy: dict[str, deque[Delivery]] = field(factory=dict)
    # What is to be handed out again after a while, with the clock that it waits for.
    _later: dict[int, tuple[asyncio.TimerHandle, Delivery]] = field(factory=dict)

    def put(self, delivery: Delivery, *, first: bool = False) -> None:
        """Add a delivery, behind the others of its lane or before them."""
        queue = self._lanes.setdefault(queue_of(delivery.message.to), _Lane())
        if first:
            queue.ready.appendleft(delivery)
        else:
            queue.ready.append(delivery)
        wake_one(queue.takers)

    def put_later(self, delivery: Delivery, delay: float) -> None:
        """Add a delivery after *delay* seconds."""
        number = id(delivery)

        def due() -> None:
            del self._later[number]
            self.put(delivery)

        timer = asyncio.get_running_loop().call_later(delay, due)
        self._later[number] = timer, delivery

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody works on; waits for one."""
        waiting = self._lanes.setdefault(queue, _Lane())
        while True:
            while waiting.ready:
                delivery = waiting.ready.popleft()
                if self._claim(delivery):
                    self.taken[id(delivery)] = delivery
                    return delivery
            await wait_in(waiting.takers)

    def settle(self, delivery: Delivery) -> None:
        """Take a delivery off, and give its key to the one that has waited longest."""
        del self.taken[id(delivery)]
        key = key_of(delivery.message.to)
        if key is None:
            return
        queue = self._busy[key]
        if queue:
            self.put(queue[0], first=True)
        else:
            del self._busy[key]

    @property
    def ready(self) -> int:
        """How many deliveries wait to be handed out."""
        return sum(len(queue.ready) for queue in self._lanes.values())

    @property
    def delayed(self) -> int:
        """How many deliveries wait for their time."""
        return len(self._later)

    def parked(self, key: str | None) -> int:
        """Say how many deliveries wait for their turn with a key."""
        return len(self._busy.get(key, ())) if key is not None else 0

    def crowded(self, many: float) -> list[str]:
        """Give the keys with which *many* deliveries or more wait for their turn."""
        return [key for key, queue in self._busy.items() if len(queue) >= many]

    def fail(self, error: Exception) -> None:
        """Raise an error wherever somebody waits for a delivery."""
        for queue in self._lanes.values():
            fail_all(queue.takers, error)

    def hungry(self) -> dict[str, int]:
        """Give the lanes in which somebody waits and nothing is ready, and how many wait."""
        return {
            name: sum(not taker.done() for taker in queue.takers)
            for name, queue in self._lanes.items()
            if self.is_hungry(name)
        }

    def is_hungry(self, queue: str) -> bool:
        """Tell whether somebody waits in a lane, and nothing is ready for them."""
        waiting = self._lanes.get(queue)
        if waiting is None or waiting.ready:
            return False
        return any(not taker.done() for taker in waiting.takers)

    def stop_clocks(self) -> list[Delivery]:
        """Wait for no time any more, and give what did."""
        stopped = [delivery for _, delivery in self._later.values()]
        for timer, _ in self._later.values():
            timer.cancel()
        self._later.clear()
        return stopped

    def return_taken(self) -> None:
        """Make ready again what was handed out and never settled, first of all."""
        for delivery in reversed(self.taken.values()):
            key = key_of(delivery.message.to)
            # Those that waited for its key come after it again.
            parked = self._busy.pop(key) if key is not None else deque()
            queue = self._lanes.setdefault(queue_of(delivery.message.to), _Lane())
            queue.ready.extendleft(reversed((delivery, *parked)))
        self.taken.clear()

    def forget_ready(self) -> None:
        """Let go of all that is not handed out."""
        for queue in self._lanes.values():
            queue.ready.clear()
        held = {key_of(delivery.message.to) for delivery in self.taken.values()}
        self._busy = {key: deque() for key in held if key is not None}

    def _claim(self, delivery: Delivery) -> bool:
        """Take the delivery's key; where somebody has it, the delivery waits for its turn."""
        key = key_of(delivery.message.to)
        if key is None:
            return True
        queue = self._busy.get(key)
        if queue is None:
            self._busy[key] = deque()
            return True
        # The first of the queue has been promised the key by `settle`.
        if queue and queue[0] is delivery:
            queue.popleft()
            return True
        queue.append(delivery)
        return False


async def wait_in(queue: deque["asyncio.Future[None]"]) -> None:
    """Wait to be woken; one that is cancelled just then wakes the next in its place."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled():
            wake_one(queue)
        raise


def wake_one(queue: deque["asyncio.Future[None]"]) -> None:
    """Wake whoever has waited longest."""
    while queue:
        waiter = queue.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return


def fail_all(queue: deque["asyncio.Future[None]"], error: Exception) -> None:
    """Raise an error in all who wait."""
    while queue:
        waiter = queue.popleft()
        if not waiter.done():
            waiter.set_exception(error)
