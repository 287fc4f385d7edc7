"""Store: a model of a whole backend, with the queue that workers share."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import Any, TypeAlias

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Delivery,
    Message,
    Progress,
    find_cancellation,
    is_cancellation,
    key_of,
    queue_of,
    timer_message,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import (
    CancellationPending,
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
)
from arvo.testing.simulation.cluster.entry import Entry

Consumption: TypeAlias = tuple[str, str, str, str]


@define(eq=False)
class Store:
    """Records, queue, timers and dead letters: a correct backend without time or concurrency.

    Every operation is atomic. *now* returns the time, *time* the seconds since the start, and
    *call_later* calls a function after some seconds. Override an operation to see which promises a
    wrong backend breaks.
    """

    now: Callable[[], datetime]
    time: Callable[[], float]
    call_later: Callable[[float, Callable[[], None]], object]
    records: dict[str, Record] = field(factory=dict, init=False)
    dead_letters: dict[str, DeadLetter] = field(factory=dict, init=False)
    timers: dict[str, Message] = field(factory=dict, init=False)
    queue: dict[int, Entry] = field(factory=dict, init=False)
    consumed: set[Consumption] = field(factory=set, init=False)
    on_ready: Callable[[str], None] = field(default=lambda _: None, init=False)
    on_enqueue: Callable[[Entry], None] = field(default=lambda _: None, init=False)
    _numbers: Iterator[int] = field(factory=lambda: count(1), init=False)

    def enqueue(self, message: Message) -> None:
        """Add a message at the end of the queue."""
        entry = Entry(next(self._numbers), message)
        self.queue[entry.number] = entry
        self.on_enqueue(entry)
        self.on_ready(queue_of(message.to))

    def claim(self, queue: str, worker: str) -> Delivery | None:
        """Return the first message of a queue that is available and whose key is free."""
        blocked = {entry.key for entry in self.queue.values() if entry.holder is not None}
        for entry in self.queue.values():
            if entry.holder is not None or (entry.key is not None and entry.key in blocked):
                continue
            if entry.available_at > self.time():
                if not entry.deferred:
                    blocked.add(entry.key)
            elif queue_of(entry.message.to) == queue:
                entry.holder, entry.deferred = worker, False
                entry.delivery_count += 1
                token = entry.number, entry.delivery_count
                return Delivery(
                    entry.message, entry.attempt, token, progress=Progress(entry.progress)
                )
        return None

    def load(self, subject: str) -> Record | None:
        """Return the record of a workflow."""
        return self.records.get(subject)

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, enqueue its messages and remove the delivery, or refuse it."""
        if not self.holds(worker, delivery):
            return Fenced()
        if self.consumption(commit) in self.consumed:
            self.remove(worker, delivery)
            return Duplicate()
        if commit.record is not None or commit.expected:
            revision = self.revision(commit)
            if revision != commit.expected:
                return Conflict(revision)
        if yields_to_cancellation(commit):
            cancellation = self.pending_cancellation(delivery)
            if cancellation is not None:
                return CancellationPending(cancellation)
        self.write_record(commit)
        self.mark_consumed(commit)
        for dead_letter in dead_letters:
            self.add_dead_letter(dead_letter)
        self.remove(worker, delivery)
        for message in messages:
            self.enqueue(message)
        self.set_timers(commit)
        return Committed()

    def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Return the oldest cancellation that a delivery has to yield to."""
        handler, key = queue_of(delivery.message.to), key_of(delivery.message.to)
        events = [
            entry.message.event
            for entry in self.queue.values()
            if entry.key == key and is_cancellation(entry.message)
        ]

        def is_consumed(event: Event[Any]) -> bool:
            return (handler, event.source, event.id, event.subject) in self.consumed

        return find_cancellation(events, delivery, is_consumed)

    def checkpoint(self, worker: str, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects with its delivery, or refuse them."""
        if not self.holds(worker, delivery):
            return Fenced()
        self.entry(delivery).progress = progress
        return Committed()

    def write_record(self, commit: Commit) -> None:
        """Write the record of a commit."""
        if commit.record is not None:
            self.records[commit.record.subject] = commit.record

    def mark_consumed(self, commit: Commit) -> None:
        """Record that the handler has consumed the event for its subject."""
        self.consumed.add(self.consumption(commit))

    def set_timers(self, commit: Commit) -> None:
        """Clear and set the timers of a commit."""
        for cleared in commit.cleared_timers:
            self.timers.pop(cleared, None)
        for timer in commit.timers:
            self.timers[timer.event.id] = message = timer_message(commit, timer)
            self.schedule_timer(message, timer.due)

    def schedule_timer(self, message: Message, due: datetime) -> None:
        """Fire a timer when it is due."""
        delay = max(0.0, (due - self.now()).total_seconds())
        self.call_later(delay, lambda: self.fire_timer(message))

    def fire_timer(self, message: Message) -> None:
        """Enqueue the event of a timer, unless the timer was cleared meanwhile."""
        if self.timers.get(message.event.id) is message:
            del self.timers[message.event.id]
            self.enqueue(message)

    def ack(self, worker: str, delivery: Delivery) -> None:
        """Acknowledge a delivery that needs no commit."""
        self.remove(worker, delivery)

    def nack(self, worker: str, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; it keeps its key."""
        if self.holds(worker, delivery):
            self._return(self.entry(delivery), delay)

    def defer(self, worker: str, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; those of its key pass it meanwhile."""
        if self.holds(worker, delivery):
            entry = self.entry(delivery)
            entry.deferred = True
            self._return(entry, delay)

    def put_back(self, worker: str, delivery: Delivery, delay: float) -> None:
        """Redeliver a message that was not processed; it keeps its attempt and its key."""
        if self.holds(worker, delivery):
            entry = self.entry(delivery)
            entry.attempt -= 1
            self._return(entry, delay)

    def dead_letter(self, worker: str, delivery: Delivery, dead_letter: DeadLetter) -> None:
        """Store a dead letter and remove its delivery."""
        if self.holds(worker, delivery):
            self.add_dead_letter(dead_letter)
            self.remove(worker, delivery)

    def overtake(self, entry: Entry) -> None:
        """Move an entry before all others, but behind those of its key."""
        others = [other for other in self.queue.values() if other is not entry]
        same_key = [at for at, other in enumerate(others) if entry.key and other.key == entry.key]
        others.insert(same_key[-1] + 1 if same_key else 0, entry)
        self.queue = {other.number: other for other in others}

    def add_dead_letter(self, dead_letter: DeadLetter) -> None:
        """Store a dead letter."""
        self.dead_letters[dead_letter.id] = dead_letter

    def release(self, worker: str, delivery: Delivery | None = None) -> None:
        """Make the deliveries of a worker available again, or one of them: its lease expired."""
        for entry in self.queue.values():
            if entry.holder == worker and (
                delivery is None or delivery.token == (entry.number, entry.delivery_count)
            ):
                entry.holder = None
        self.notify_all()

    def remove(self, worker: str, delivery: Delivery) -> None:
        """Remove a delivery from the queue if the worker still holds it."""
        if self.holds(worker, delivery):
            del self.queue[self.entry(delivery).number]
            self.notify_all()

    def holds(self, worker: str, delivery: Delivery) -> bool:
        """Return True if the worker still holds a delivery."""
        assert isinstance(delivery.token, tuple)
        number, delivery_count = delivery.token
        entry = self.queue.get(number)
        return entry is not None and (entry.holder, entry.delivery_count) == (
            worker,
            delivery_count,
        )

    def entry(self, delivery: Delivery) -> Entry:
        """Return the queue entry of a delivery."""
        assert isinstance(delivery.token, tuple)
        return self.queue[delivery.token[0]]

    def revision(self, commit: Commit) -> int:
        """Return the current revision of the commit's record, 0 if there is none."""
        subject = commit.event.subject if commit.record is None else commit.record.subject
        record = self.records.get(subject)
        return 0 if record is None else record.revision

    def consumption(self, commit: Commit) -> Consumption:
        """Return the key of a consumption: handler, event source, event id and subject."""
        event = commit.event
        return commit.handler, event.source, event.id, event.subject

    def _return(self, entry: Entry, delay: float) -> None:
        entry.attempt += 1
        entry.available_at = self.time() + delay
        entry.holder = None
        # All queues: the messages behind it may be in another one.
        self.call_later(delay, self.notify_all)
        self.notify_all()

    def notify_all(self) -> None:
        """Wake the tasks of all queues, because a key may be free."""
        for queue in dict.fromkeys(queue_of(entry.message.to) for entry in self.queue.values()):
            self.on_ready(queue)
