"""Store: a model of a whole backend, with the queue that workers share."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, TypeAlias

from attrs import define, field

from arvo.core.begin import begun_id, begun_ids, find_holder
from arvo.core.commit import Commit
from arvo.core.events.digest import inbox_digest
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.record import Record
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.limits.table import SlotTable, Wakes
from arvo.interpreters.ports.chains import CommitChain
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
    WorkflowIdTaken,
    compare_digests,
)
from arvo.testing.simulation.cluster.entry import Entry
from arvo.testing.simulation.cluster.queue import MessageQueue

Consumption: TypeAlias = tuple[str, str, str, str]


@define(eq=False)
class Store(MessageQueue[Message, Delivery]):
    """Records, queue, timers and dead letters: a correct backend without time or concurrency.

    Every operation is atomic. Override an operation to see which promises a wrong backend breaks.
    """

    records: dict[str, Record] = field(factory=dict, init=False)
    dead_letters: dict[str, DeadLetter] = field(factory=dict, init=False)
    timers: dict[str, Message] = field(factory=dict, init=False)
    consumed: dict[Consumption, str] = field(factory=dict, init=False)
    slots: SlotTable = field(factory=SlotTable, init=False)

    def enqueue(self, message: Message) -> None:
        """Add a message at the end of the queue."""
        self.add(message, queue_of(message.to), key_of(message.to))

    def claim(self, queue: str, worker: str) -> Delivery | None:
        """Return the first message of a queue that is available and whose key is free."""
        entry = self.take(queue, worker)
        return None if entry is None else self.delivery(entry)

    def poll(self, queues: Mapping[str, int], limit: int, worker: str) -> list[Delivery]:
        """Claim the messages of *queues* that are ready: of each queue so many, *limit* in all."""
        deliveries: list[Delivery] = []
        for queue, room in queues.items():
            for _ in range(min(room, limit - len(deliveries))):
                if (delivery := self.claim(queue, worker)) is None:
                    break
                deliveries.append(delivery)
        return deliveries

    def acquire(self, worker: str, requests: Sequence[SlotRequest]) -> list[bool]:
        """Let the deliveries that a worker holds take their slots, or park them."""
        numbered = {
            position: (self.entry(each.delivery).number, each.slots)
            for position, each in enumerate(requests)
            if self.holds(worker, each.delivery)
        }
        for number, _ in numbered.values():
            self.return_followers(number)
        held, wakes = self.slots.acquire([*numbered.values()], self.time())
        results = dict(zip(numbered, held, strict=True))
        for position, (number, _) in numbered.items():
            if not results[position]:
                entry = self.queue[number]
                entry.holder, entry.available_at = None, inf
        self.wake(wakes)
        return [results.get(position, False) for position in range(len(requests))]

    def return_followers(self, number: int) -> None:
        """Let those wait behind an entry that were parked while it was deferred: of its key."""
        key = self.queue[number].key
        behind = [it for it in self.queue.values() if key and it.key == key and it.number > number]
        for entry in behind:
            if entry.holder is None and self.slots.has(entry.number):
                entry.available_at = self.time()
                self.free(entry.number)

    def free(self, number: int) -> None:
        """Free the slots of an entry that is settled or returned."""
        self.wake(self.slots.release(number, self.time()))

    def wake(self, wakes: Wakes) -> None:
        """Make parked entries available."""
        for number in wakes.numbers:
            self.queue[number].available_at = self.time()
        for number, due in wakes.due.items():
            self.queue[number].available_at = due
            self.call_later(max(0.0, due - self.time()), self.notify_all)
        if wakes.numbers:
            self.notify_all()

    def remove(self, worker: str, delivery: Delivery) -> None:
        """Remove a delivery, and free its slots."""
        if self.holds(worker, delivery):
            number = self.entry(delivery).number
            super().remove(worker, delivery)
            self.free(number)

    def put_off(self, entry: Entry, delay: float) -> None:
        """Make an entry available again after some seconds, and free its slots."""
        super().put_off(entry, delay)
        self.free(entry.number)

    def followers(self, worker: str, delivery: Delivery) -> list[Delivery]:
        """Return the deliveries that wait behind one of their key, which the worker holds."""
        followers: list[Delivery] = []
        key = key_of(delivery.message.to)
        for entry in self.queue.values() if key and self.holds(worker, delivery) else ():
            if entry.key != key or entry.holder is not None:
                continue
            if entry.available_at <= self.time():
                followers.append(self.delivery(entry))
            elif not entry.deferred:
                break
        return followers

    def delivery(self, entry: Entry) -> Delivery:
        """Return the delivery of an entry that was taken."""
        progress = Progress(entry.progress)
        return Delivery(entry.message, entry.attempt, entry.token, entry.deaths, progress)

    def mark_started(self, worker: str, delivery: Delivery) -> bool:
        """Record that a worker processes a delivery with deaths, if the worker holds it."""
        if not self.holds(worker, delivery):
            return False
        self.entry(delivery).started = True
        return True

    def count_return(self, entry: Entry) -> None:
        """Count a death of the worker, where it may have processed the delivery."""
        if entry.started or not entry.deaths:
            entry.deaths += 1
            entry.attempt += 1
        entry.started = False
        self.free(entry.number)

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
        stored = self.consumed.get(self.consumption(commit))
        if stored is not None:
            refused = compare_digests(stored, inbox_digest(commit.event))
            if isinstance(refused, Duplicate):
                self.remove(worker, delivery)
            return refused
        if commit.record is not None or commit.expected:
            revision = self.revision(commit)
            if revision != commit.expected:
                return Conflict(revision)
        if yields_to_cancellation(commit):
            cancellation = self.pending_cancellation(delivery)
            if cancellation is not None:
                return CancellationPending(cancellation)
        begun = begun_id(commit)
        if begun is not None and (holder := self.find_holder(begun, commit.event)):
            return WorkflowIdTaken(holder)
        self.write_record(commit)
        self.mark_consumed(commit)
        for dead_letter in dead_letters:
            self.add_dead_letter(dead_letter)
        self.remove(worker, delivery)
        for message in messages:
            self.enqueue(message)
        self.set_timers(commit)
        return Committed()

    def commit_chain(self, worker: str, chain: CommitChain) -> bool:
        """Apply a chain, or refuse it and change nothing."""
        if chain.deliveries and not self.holds(worker, chain.deliveries[0]):
            return False
        if not all(self.waits(follower) for follower in chain.deliveries[1:]):
            return False
        if any(self.has_others(key, chain.deliveries) for key in chain.passing_keys):
            return False
        for commit in chain.commits:
            if self.consumption(commit) in self.consumed:
                return False
            if yields_to_cancellation(commit) and self.is_cancelled(commit.event.subject):
                return False
        for subject, expected in chain.expected.items():
            record = self.records.get(subject)
            if (0 if record is None else record.revision) != expected:
                return False
        begun = begun_ids(chain.commits)
        if begun is None or any(self.find_holder(key, event) for key, event in begun.items()):
            return False
        self.apply_chain(chain)
        for follower in chain.deliveries[1:]:
            del self.queue[self.entry(follower).number]
        for delivery in chain.deliveries[:1]:
            self.remove(worker, delivery)
        return True

    def find_holder(self, key: tuple[str, str], event: Event[Any]) -> Record | None:
        """Return the record of another run with the workflow id that *event* begins.

        *key*: its `begun_id`.
        """
        runs = (
            record
            for record in self.records.values()
            if (record.handler, workflow_id_of(record.subject)) == key
        )
        return find_holder(runs, event)

    def apply_chain(self, chain: CommitChain) -> None:
        """Apply the commits of a chain, and enqueue the messages that they leave."""
        for commit in chain.commits:
            self.write_record(commit)
            self.mark_consumed(commit)
            self.set_timers(commit)
        for message in chain.messages:
            self.enqueue(message)

    def waits(self, follower: Delivery) -> bool:
        """Return whether a delivery that no worker holds is in the queue as it was read."""
        return any(
            (entry.holder, entry.token) == (None, follower.token) for entry in self.queue.values()
        )

    def has_others(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return whether a message of a key besides *deliveries* is under way, or waits."""
        own = [delivery.token for delivery in deliveries]
        return any(
            entry.key == key
            and entry.token not in own
            and not (entry.deferred and entry.available_at > self.time())
            for entry in self.queue.values()
        )

    def is_cancelled(self, key: str) -> bool:
        """Return whether a cancellation of a workflow waits."""
        return any(
            entry.key == key and is_cancellation(entry.message) for entry in self.queue.values()
        )

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
        self.consumed[self.consumption(commit)] = inbox_digest(commit.event)

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

    def put_back(self, worker: str, delivery: Delivery, delay: float) -> None:
        """Redeliver a message that was not processed; it keeps its attempt and its key."""
        if self.holds(worker, delivery):
            entry = self.entry(delivery)
            entry.attempt -= 1
            self.put_off(entry, delay)

    def dead_letter(self, worker: str, delivery: Delivery, dead_letter: DeadLetter) -> None:
        """Store a dead letter and remove its delivery, which *worker* holds."""
        self.add_dead_letter(dead_letter)
        self.remove(worker, delivery)

    def add_dead_letter(self, dead_letter: DeadLetter) -> None:
        """Store a dead letter."""
        self.dead_letters[dead_letter.id] = dead_letter

    def revision(self, commit: Commit) -> int:
        """Return the current revision of the commit's record, 0 if there is none."""
        subject = commit.event.subject if commit.record is None else commit.record.subject
        record = self.records.get(subject)
        return 0 if record is None else record.revision

    def consumption(self, commit: Commit) -> Consumption:
        """Return the key of a consumption: handler, event source, event id and subject."""
        event = commit.event
        return commit.handler, event.source, event.id, event.subject
