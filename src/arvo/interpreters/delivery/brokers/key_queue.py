"""Key queue: the deliveries that one consumer has read, of each key one at a time and in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import final

from attrs import define, field

from arvo.interpreters.ports.broker import EncodedDelivery


@final
@define(eq=False)
class KeyQueue:
    """For a broker that gives all messages of a key to one consumer, in order.

    A key belongs to the first delivery that is added for it, until `release`; later ones are
    blocked behind it. An empty key is no key. *on_ready* is called when a delivery becomes ready.
    Every operation is synchronous, and so atomic in an event loop.
    """

    on_ready: Callable[[], None]
    _ready: deque[EncodedDelivery] = field(factory=deque, init=False)
    # For each key that is taken: the deliveries behind it, each with the time, by the monotonic
    # clock, before which it is not delivered.
    _blocked: dict[str, deque[tuple[EncodedDelivery, float]]] = field(factory=dict, init=False)
    _timers: set[asyncio.TimerHandle] = field(factory=set, init=False)
    _is_closed: bool = field(default=False, init=False)

    def add(self, delivery: EncodedDelivery, key: str, delay: float = 0.0) -> None:
        """Add a delivery behind all others of its key; it is delivered after *delay* seconds."""
        if key and not self._is_closed:
            blocked = self._blocked.get(key)
            if blocked is not None:
                blocked.append((delivery, monotonic() + delay))
                return
            self._blocked[key] = deque()
        self.put_back(delivery, delay)

    def add_later(self, delivery: EncodedDelivery, key: str, delay: float) -> None:
        """Add a delivery after *delay* seconds; until then it holds back nothing."""
        self.call_later(delay, lambda: self.add(delivery, key))

    def pop(self) -> EncodedDelivery | None:
        """Remove and return the next ready delivery, None if there is none. It has its key."""
        return self._ready.popleft() if self._ready else None

    def release(self, key: str) -> None:
        """Give a key to the next delivery of it."""
        if not key or self._is_closed:
            return
        if blocked := self._blocked[key]:
            delivery, ready_at = blocked.popleft()
            self.put_back(delivery, ready_at - monotonic())
        else:
            del self._blocked[key]

    def put_back(self, delivery: EncodedDelivery, delay: float = 0.0) -> None:
        """Add a delivery that has its key already; it is delivered after *delay* seconds."""
        if self._is_closed:
            return
        if delay > 0:
            self.call_later(delay, lambda: self.put_back(delivery))
        else:
            self._ready.append(delivery)
            self.on_ready()

    def put_first(self, delivery: EncodedDelivery) -> None:
        """Add a delivery that has its key already, before all that are ready."""
        if not self._is_closed:
            self._ready.appendleft(delivery)
            self.on_ready()

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call a function after *delay* seconds, unless the queue is closed before."""
        if self._is_closed:
            return

        def on_time() -> None:
            self._timers.discard(timer)
            function()

        timer = asyncio.get_running_loop().call_later(delay, on_time)
        self._timers.add(timer)

    def close(self) -> None:
        """Forget all deliveries, and those that are added later: they belong to another process."""
        self._is_closed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._ready.clear()
        self._blocked.clear()
