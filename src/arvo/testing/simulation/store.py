"""Store: a whole backend as a model, and the queue that it shares with its workers."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import TypeAlias

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.interpreters.ports.backend import (
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Duplicate,
    Fenced,
    Message,
    key_of,
    queue_of,
    timer_message,
)

Identity: TypeAlias = tuple[str, str, str, str]


@define(eq=False)
class Entry:
    """A post in the queue: who *holds* it, how often it was handed out, and from when it may be.

    *late*: whether the network has it until then, and those of its key wait behind it. *notes*: the
    faults that have hit it.
    """

    number: int
    post: Message
    attempt: int = 1
    due: float = 0.0
    holder: str | None = None
    handings: int = 0
    late: bool = False
    notes: list[str] = field(factory=list)

    @property
    def key(self) -> str | None:
        """Name what it shares with those that must not be taken beside it."""
        return key_of(self.post.to)


@define(eq=False)
class Store:
    """Records, queue, timers and dead letters, all in one place, as simple as can be.

    What a backend promises, without time, network or concurrency: each operation is a moment.
    *now* tells the time, *time* the seconds since the beginning; *later* calls a function after
    some seconds. Override an operation to see what a wrong backend would do.
    """

    now: Callable[[], datetime]
    time: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]
    records: dict[str, Record] = field(factory=dict, init=False)
    letters: dict[str, DeadLetter] = field(factory=dict, init=False)
    timers: dict[str, Message] = field(factory=dict, init=False)
    queue: dict[int, Entry] = field(factory=dict, init=False)
    seen: set[Identity] = field(factory=set, init=False)
    stirred: Callable[[str], None] = field(default=lambda _: None, init=False)
    entered: Callable[[Entry], None] = field(default=lambda _: None, init=False)
    _numbers: Iterator[int] = field(factory=lambda: count(1), init=False)

    def put(self, message: Message) -> None:
        """Put a post into the queue, behind all others."""
        entry = Entry(next(self._numbers), message)
        self.queue[entry.number] = entry
        self.entered(entry)
        self.stirred(queue_of(message.to))

    def take(self, queue: str, worker: str) -> Delivery | None:
        """Hand out the first post of a lane that is due and whose key nobody works on."""
        blocked = {entry.key for entry in self.queue.values() if entry.holder is not None}
        for entry in self.queue.values():
            if entry.holder is not None or (entry.key is not None and entry.key in blocked):
                continue
            if entry.due > self.time():
                if entry.late:
                    blocked.add(entry.key)
            elif queue_of(entry.post.to) == queue:
                entry.holder = worker
                entry.handings += 1
                return Delivery(entry.post, entry.attempt, (entry.number, entry.handings))
        return None

    def load(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        return self.records.get(subject)

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send what follows and settle the delivery, or refuse it."""
        if not self.holds(worker, delivery):
            return Fenced()
        if self.identity(commit) in self.seen:
            self.settle(worker, delivery)
            return Duplicate()
        if commit.record is not None or commit.expected:
            revision = self.revision(commit)
            if revision != commit.expected:
                return Conflict(revision)
        self.remember(commit)
        self.consume(commit)
        for dead_letter in dead_letters:
            self.keep(dead_letter)
        self.settle(worker, delivery)
        for message in messages:
            self.put(message)
        self.set_timers(commit)
        return Committed()

    def remember(self, commit: Commit) -> None:
        """Write the record of a commit."""
        if commit.record is not None:
            self.records[commit.record.subject] = commit.record

    def consume(self, commit: Commit) -> None:
        """Write down that this handler has consumed this event for this subject."""
        self.seen.add(self.identity(commit))

    def set_timers(self, commit: Commit) -> None:
        """Forget the timers that a commit clears, and set its own."""
        for cleared in commit.cleared_timers:
            self.timers.pop(cleared, None)
        for timer in commit.timers:
            self.timers[timer.event.id] = message = timer_message(commit, timer)
            self.wait(message, timer.due)

    def wait(self, message: Message, due: datetime) -> None:
        """Send a timer's event when it is due."""
        self.later(max(0.0, (due - self.now()).total_seconds()), lambda: self.fire(message))

    def fire(self, message: Message) -> None:
        """Send a timer's event, unless it was cleared meanwhile."""
        if self.timers.get(message.event.id) is message:
            del self.timers[message.event.id]
            self.put(message)

    def ack(self, worker: str, delivery: Delivery) -> None:
        """Settle a delivery that changed nothing of ours."""
        self.settle(worker, delivery)

    def nack(self, worker: str, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again after *delay* seconds."""
        if self.holds(worker, delivery):
            entry = self.entry(delivery)
            entry.attempt += 1
            entry.due = self.time() + delay
            entry.holder = None
            self.later(delay, lambda: self.stirred(queue_of(entry.post.to)))
            self.stir_all()

    def dead_letter(self, worker: str, delivery: Delivery, dead_letter: DeadLetter) -> None:
        """Settle a delivery as a dead letter."""
        if self.holds(worker, delivery):
            self.keep(dead_letter)
            self.settle(worker, delivery)

    def overtake(self, entry: Entry) -> None:
        """Put an entry before all others, but behind those of its key."""
        listed = [each for each in self.queue.values() if each is not entry]
        same = [at for at, each in enumerate(listed) if entry.key and each.key == entry.key]
        listed.insert(same[-1] + 1 if same else 0, entry)
        self.queue = {each.number: each for each in listed}

    def keep(self, dead_letter: DeadLetter) -> None:
        """Keep a dead letter."""
        self.letters[dead_letter.id] = dead_letter

    def give_back(self, worker: str, delivery: Delivery | None = None) -> None:
        """Let others have what a worker holds, or one delivery of it: its lease has run out."""
        for entry in self.queue.values():
            if entry.holder == worker and (
                delivery is None or delivery.token == (entry.number, entry.handings)
            ):
                entry.holder = None
        self.stir_all()

    def settle(self, worker: str, delivery: Delivery) -> None:
        """Take a delivery off the queue, if the worker still holds it."""
        if self.holds(worker, delivery):
            del self.queue[self.entry(delivery).number]
            self.stir_all()

    def holds(self, worker: str, delivery: Delivery) -> bool:
        """Tell whether a delivery is still the worker's."""
        assert isinstance(delivery.token, tuple)
        number, handing = delivery.token
        entry = self.queue.get(number)
        return entry is not None and entry.holder == worker and entry.handings == handing

    def entry(self, delivery: Delivery) -> Entry:
        """Find what a delivery was made of."""
        assert isinstance(delivery.token, tuple)
        return self.queue[delivery.token[0]]

    def revision(self, commit: Commit) -> int:
        """Give the revision of the record that a commit is about, 0 for none."""
        subject = commit.event.subject if commit.record is None else commit.record.subject
        record = self.records.get(subject)
        return 0 if record is None else record.revision

    def identity(self, commit: Commit) -> Identity:
        """Name a consumption: this handler, this event (by source and id), this subject."""
        event = commit.event
        return commit.handler, event.source, event.id, event.subject

    def stir_all(self) -> None:
        """Let whoever waits look again: a key may be free."""
        for queue in dict.fromkeys(queue_of(entry.post.to) for entry in self.queue.values()):
            self.stirred(queue)
