"""Queue: a model of the messages that a store or a broker holds, and of who holds each."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, field

from arvo.testing.simulation.cluster.entry import Entry


class HasToken(Protocol):
    """A delivery. Its token is that of an `Entry`."""

    @property
    def token(self) -> Any:
        """The number of the entry, and how often it was delivered."""
        ...


M = TypeVar("M")
D = TypeVar("D", bound=HasToken)


@define(eq=False)
class MessageQueue(Generic[M, D]):
    """Messages in the order in which they came. Those of one key are delivered one at a time.

    Every operation is atomic. *now* returns the time, *time* the seconds since the start, and
    *call_later* calls a function after some seconds. *on_ready* is called with a queue that may
    have a message, *on_enqueue* with each new entry.
    """

    now: Callable[[], datetime]
    time: Callable[[], float]
    call_later: Callable[[float, Callable[[], None]], object]
    queue: dict[int, Entry] = field(factory=dict, init=False)
    on_ready: Callable[[str], None] = field(default=lambda _: None, init=False)
    on_enqueue: Callable[[Entry], None] = field(default=lambda _: None, init=False)
    _numbers: Iterator[int] = field(factory=lambda: count(1), init=False)

    def enqueue(self, message: M) -> None:
        """Add a message at the end of its queue."""
        raise NotImplementedError

    def add(self, message: M, queue: str, key: str | None, delay: float = 0.0) -> None:
        """Add an entry, which may be delivered after *delay* seconds."""
        entry = Entry(next(self._numbers), message, queue, key, available_at=self.time() + delay)
        self.queue[entry.number] = entry
        self.on_enqueue(entry)
        if delay:
            self.call_later(delay, self.notify_all)
        self.on_ready(queue)

    def take(self, queue: str, holder: str) -> Entry | None:
        """Take the first entry of a queue that is available and whose key is free."""
        blocked = {entry.key for entry in self.queue.values() if entry.holder is not None}
        for entry in self.queue.values():
            if entry.holder is not None or (entry.key is not None and entry.key in blocked):
                continue
            if entry.available_at > self.time():
                if not entry.deferred:
                    blocked.add(entry.key)
            elif entry.queue == queue:
                return self.give(entry, holder)
        return None

    def give(self, entry: Entry, holder: str) -> Entry:
        """Let a holder have an entry."""
        entry.holder, entry.deferred = holder, False
        entry.delivery_count += 1
        return entry

    def nack(self, holder: str, delivery: D, delay: float) -> None:
        """Redeliver a message after *delay* seconds; it keeps its key."""
        if self.holds(holder, delivery):
            self.put_off(self.entry(delivery), delay)

    def defer(self, holder: str, delivery: D, delay: float) -> None:
        """Redeliver a message after *delay* seconds; those of its key pass it meanwhile."""
        if self.holds(holder, delivery):
            entry = self.entry(delivery)
            entry.deferred = True
            self.put_off(entry, delay)

    def put_off(self, entry: Entry, delay: float) -> None:
        """Make an entry available again after *delay* seconds, as its next attempt."""
        entry.attempt += 1
        entry.started = False
        entry.available_at = self.time() + delay
        entry.holder = None
        # All queues: the messages behind it may be in another one.
        self.call_later(delay, self.notify_all)
        self.notify_all()

    def release(self, holder: str, delivery: D | None = None) -> None:
        """Make the deliveries of a holder available again, or one of them: its lease expired."""
        for entry in self.queue.values():
            if entry.holder == holder and (delivery is None or delivery.token == entry.token):
                entry.holder = None
                self.count_return(entry)
        self.notify_all()

    def count_return(self, entry: Entry) -> None:
        """Count that a consumer did not settle an entry."""

    def remove(self, holder: str, delivery: D) -> None:
        """Remove a delivery from the queue if the holder still holds it."""
        if self.holds(holder, delivery):
            del self.queue[self.entry(delivery).number]
            self.notify_all()

    def holds(self, holder: str, delivery: D) -> bool:
        """Return True if the holder still holds a delivery."""
        number, _ = delivery.token
        entry = self.queue.get(number)
        return entry is not None and (entry.holder, entry.token) == (holder, delivery.token)

    def entry(self, delivery: D) -> Entry:
        """Return the queue entry of a delivery."""
        return self.queue[delivery.token[0]]

    def overtake(self, entry: Entry) -> None:
        """Move an entry before all others, but behind those of its key."""
        others = [other for other in self.queue.values() if other is not entry]
        same_key = [at for at, other in enumerate(others) if entry.key and other.key == entry.key]
        others.insert(same_key[-1] + 1 if same_key else 0, entry)
        self.queue = {other.number: other for other in others}

    def delay(self, entry: Entry, seconds: float) -> None:
        """Deliver an entry *seconds* later than now, or when it would be available after that."""
        entry.available_at = max(entry.available_at, self.time() + seconds)
        self.call_later(seconds, self.notify_all)

    def notify_all(self) -> None:
        """Wake the tasks of all queues, because a key may be free."""
        for queue in dict.fromkeys(entry.queue for entry in self.queue.values()):
            self.on_ready(queue)
