"""Backend: the shortest complete backend, in memory. Its data ends with the process."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import nlargest
from itertools import count
from typing import Any, ClassVar, Final, Unpack, final

from attrs import define, field

from arvo.core.begin import begun_id
from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event, drop_text
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import data_bytes_max
from arvo.interpreters.delivery.audit import AuditQuery, audit_key, oldest_audit
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.delivery.history_buffer import HistoryBuffer
from arvo.interpreters.delivery.operations import DeadLetterQuery, WorkflowQuery
from arvo.interpreters.delivery.queues import InProcessQueues, fail_all, wait_for_wake, wake_one
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.memory.cancellations import MemoryCancellations
from arvo.interpreters.memory.chains import MemoryChains
from arvo.interpreters.memory.dead_letters import MemoryDeadLetters
from arvo.interpreters.memory.inbox import MemoryInbox
from arvo.interpreters.memory.limits import MemoryLimits
from arvo.interpreters.memory.services import MemoryServices
from arvo.interpreters.memory.timers import MemoryTimers
from arvo.interpreters.memory.workflows import MemoryWorkflows
from arvo.interpreters.ports.audit import AUDIT_MAX, AuditEntry
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Delivery,
    Message,
    queue_of,
    timer_message,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import (
    HISTORY_PAGE_MAX,
    PAGE_MAX,
    CancellationPending,
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    DeadLetterFilters,
    DeadLetterGroup,
    Depth,
    DueTimer,
    Duplicate,
    IdReused,
    StoredWorkflow,
    VersionUse,
    WorkflowFilters,
    WorkflowIdTaken,
)
from arvo.interpreters.ports.size import check_sizes
from arvo.interpreters.reports.local import LocalReports

# Events under way before `send` waits.
QUEUE_MAX: Final = 10_000

DEFAULT_RETENTION: Final = Retention()


@final
@define
class MemoryBackend:
    """A `Backend` in dicts, for one process and one event loop. Nothing survives the process.

    *queue_max*: the number of events under way above which `send` waits. *now*: the clock that
    timers go by. *retention*: how long and how many dead letters are stored; the rest of it is not
    used, for memory has limits of its own. *codec*: encodes nothing; with `offloaded` events may be
    as large as elsewhere.

    No operation that changes data awaits in the middle. That makes each of them atomic.
    """

    commits_apart: ClassVar[bool] = False
    queue_max: int = QUEUE_MAX
    now: Callable[[], datetime] = utc_now
    retention: Retention = DEFAULT_RETENTION
    codec: Codec | None = None
    services: MemoryServices = field(factory=MemoryServices, init=False)
    reports: LocalReports = field(factory=LocalReports, init=False)
    _workflows: MemoryWorkflows = field(init=False)
    _history: HistoryBuffer = field(factory=HistoryBuffer, init=False)
    _inbox: MemoryInbox = field(factory=MemoryInbox, init=False)
    _dead_letters: MemoryDeadLetters = field(init=False)
    _audit: deque[AuditEntry] = field(factory=lambda: deque(maxlen=AUDIT_MAX), init=False)
    _queues: InProcessQueues = field(factory=InProcessQueues, init=False)
    _cancellations: MemoryCancellations = field(init=False)
    _timers: MemoryTimers = field(init=False)
    _chains: MemoryChains = field(init=False)
    _limits: MemoryLimits = field(init=False)
    # The order in which messages were accepted.
    _numbers: Iterator[int] = field(factory=count, init=False)
    _under_way: int = field(default=0, init=False)
    _senders: deque["asyncio.Future[None]"] = field(factory=deque, init=False)
    _idle_waiters: list["asyncio.Future[None]"] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._dead_letters = MemoryDeadLetters(self.retention, lambda: self.now())
        self._workflows = MemoryWorkflows(self._history.remove)
        self._cancellations = MemoryCancellations(self._inbox)
        self._timers = MemoryTimers(lambda: self.now(), self._add)
        self._limits = MemoryLimits(self._queues)
        self._chains = MemoryChains(self._workflows, self._inbox, self._cancellations, self._queues)

    def with_codec(self, codec: Codec) -> "MemoryBackend":
        """Return this backend, with the limits of the codec: what it has leaves the process in no
        form.
        """
        self.codec = codec
        return self

    async def send(self, message: Message) -> None:
        """Accept a message from outside; waits while `queue_max` events are under way."""
        check_sizes([message], data_bytes_max(self.codec))
        await self.wait_for_room()
        self._add(message)

    async def wait_for_room(self) -> None:
        """Wait while `queue_max` events are under way."""
        while self._under_way >= self.queue_max:
            await wait_for_wake(self._senders)

    async def receive(self, queue: str) -> Delivery:
        """Wait for the next message of a queue whose key is free."""
        self._timers.resume()
        return await self._queues.receive(queue)

    async def load(self, subject: str) -> Record | None:
        """Return the newest record of a workflow."""
        stored = self._workflows.get(subject)
        return None if stored is None else stored.record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, accept its messages, and acknowledge the delivery."""
        refused = self._inbox.compare(commit.handler, commit.event)
        if refused is not None:
            if isinstance(refused, Duplicate):
                self._remove(delivery)
            return refused
        subject = commit.event.subject if commit.record is None else commit.record.subject
        revision = self._workflows.revision(subject)
        if (commit.record is not None or commit.expected) and revision != commit.expected:
            return Conflict(revision)
        if yields_to_cancellation(commit) and (event := self._cancellations.pending(delivery)):
            return CancellationPending(event)
        begun = begun_id(commit)
        if begun is not None and (holder := self._workflows.find_holder(begun, commit.event)):
            return WorkflowIdTaken(holder)
        self._apply(commit)
        for message in messages:
            self._add(message)
        for dead_letter in dead_letters:
            self._dead_letters.add(dead_letter)
        self._remove(delivery)
        return Committed()

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* when a message of *queues* is ready."""
        self._timers.resume()
        self._queues.subscribe(queues, on_ready)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self._queues.unsubscribe(on_ready)

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Take the messages of *queues* that are ready and whose key is free."""
        return self._queues.poll(queues, limit)

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield the messages that wait behind a delivery of their key."""
        return self._queues.followers(delivery)

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return whether there is a message of a key besides *deliveries*."""
        return self._queues.is_busy(key, deliveries)

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        """Return the newest records of workflows."""
        stored = (self._workflows.get(subject) for subject in subjects)
        return {each.record.subject: each.record for each in stored if each is not None}

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Apply chains, each of them all or nothing."""
        return [self._commit_chain(chain) for chain in chains]

    def limit(self, queues: Collection[str]) -> None:
        """Do nothing: all workers are in this process."""

    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        """Let deliveries take their slots, or park them."""
        return self._limits.acquire(requests)

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Return the oldest cancellation that waits behind a delivery."""
        return self._cancellations.pending(delivery)

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects; all attempts of a delivery share them."""
        delivery.progress.data = progress
        return Committed()

    async def find_refusal(
        self, delivery: Delivery, expected: int | None
    ) -> Conflict | Duplicate | IdReused | None:
        """Return why a turn of this delivery would be refused, None if it would not."""
        event = delivery.message.event
        refusal = self._inbox.compare(queue_of(delivery.message.to), event)
        if refusal is not None:
            return refusal
        revision = self._workflows.revision(event.subject)
        return None if expected in (None, revision) else Conflict(revision)

    async def find_consumption(self, message: Message) -> Duplicate | IdReused | None:
        """Return the refusal of an event that was consumed before."""
        return self._inbox.compare(queue_of(message.to), message.event)

    async def workflows(
        self,
        *,
        handler: str | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[WorkflowFilters],
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows, the most recently changed first."""
        return self._workflows.page(WorkflowQuery(handler, after, limit, **filters))

    async def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows by handler and version."""
        return self._workflows.versions()

    async def timers(
        self, *, handler: str | None = None, after: DueTimer | None = None, limit: int = PAGE_MAX
    ) -> tuple[DueTimer, ...]:
        """List the timers that have not fired, the next one first."""
        return self._timers.page(handler, after, limit)

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Return one workflow as `workflows` lists it."""
        return self._workflows.get(subject)

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Return the newest entries of a workflow's history, oldest first."""
        return self._history.entries(subject, before, limit)

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record if its revision is still *expected*."""
        revision = self._workflows.revision(record.subject)
        if revision != expected:
            return Conflict(revision)
        now, to = self.now(), ToHandler(record.handler, record.subject)
        self._workflows.write(record, now)
        self._history.replace_record(record, now)
        for event in (*(timer.event for timer in timers), *redeliver):
            self._inbox.remove(record.handler, event)
        self._timers.set((timer, Message(timer.event, to)) for timer in timers)
        for event in redeliver:
            self._add(Message(event, to))
        return Committed()

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery that needs no commit."""
        self._remove(delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Deliver a message again after *delay* seconds, before the others of its key."""
        self._queues.postpone(delivery, delivery.retried, delay)
        self._limits.release(delivery)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Deliver a message again after *delay* seconds; the others of its key pass it."""
        self._queues.release(delivery)
        self._queues.put_delayed(delivery.retried, delay)
        self._limits.release(delivery)

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Deliver a message again after *delay* seconds, as the same attempt."""
        # Two runtimes may share this object, and all tasks of the one that lacks the version may
        # wait before those of the other.
        self._queues.shuffle_waiters(queue_of(delivery.message.to))
        self._queues.postpone(delivery, delivery, delay)
        self._limits.release(delivery)

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> Committed:
        """Store a dead letter and acknowledge its delivery."""
        self._dead_letters.add(dead_letter)
        if delivery is not None:
            self._remove(delivery)
        return Committed()

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[DeadLetterFilters],
    ) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        query = DeadLetterQuery(after, limit, **filters)
        return self._dead_letters.page(query)

    async def dead_letter_groups(
        self, *, limit: int = PAGE_MAX, **filters: Unpack[DeadLetterFilters]
    ) -> tuple[DeadLetterGroup, ...]:
        """Count the dead letters in groups, the largest first."""
        query = DeadLetterQuery(limit=limit, **filters)
        return self._dead_letters.groups(query)

    async def find_dead_letter(self, id: str) -> DeadLetter | None:  # noqa: A002 - the port's word
        """Return the dead letter with that id."""
        return self._dead_letters.get(id)

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Delete a dead letter and accept *messages* in its place."""
        check_sizes(messages, data_bytes_max(self.codec))
        if not self._dead_letters.remove(id):
            return False
        for message in messages:
            self._add(message)
        return True

    async def record_act(self, entry: AuditEntry) -> None:
        """Store what an operator is about to do."""
        self._audit.append(entry)

    async def audit_log(
        self, *, after: AuditEntry | None = None, limit: int = PAGE_MAX, subject: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """List the acts of operators, newest first."""
        query = AuditQuery(after, limit, subject, self._oldest_audit())
        return tuple(nlargest(limit, filter(query.selects, self._audit), key=audit_key))

    async def depth(self) -> Depth:
        """Count the messages under way and the pending timers."""
        taken = len(self._queues.taken)
        delayed = self._queues.delayed + self._limits.parked
        ready = self._under_way - taken - delayed
        return Depth(ready=ready, taken=taken, delayed=delayed, timers=len(self._timers))

    async def wait_until_idle(self) -> None:
        """Wait until no message is under way."""
        while self._under_way:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle_waiters.append(waiter)
            await waiter

    async def close(self) -> None:
        """Stop the timers, and fail the senders that wait.

        Deliveries that were delayed or not acknowledged are ready at once, for a later `receive` in
        the same process.
        """
        self._queues.requeue_taken()
        self._timers.stop()
        self._limits.stop()
        for delivery in self._queues.cancel_delays():
            self._queues.put(delivery)
        fail_all(self._senders, Unavailable("the backend was closed before it took the event"))

    def _oldest_audit(self) -> int:
        return oldest_audit(self.retention.audit, to_milliseconds(self.now()))

    def _commit_chain(self, chain: CommitChain) -> bool:
        if not self._chains.is_applicable(chain):
            return False
        for commit in chain.commits:
            self._apply(commit)
        for message in chain.messages:
            self._add(message)
        if chain.deliveries:
            first, *followers = chain.deliveries
            self._remove(first, followers)
        return True

    def _apply(self, commit: Commit) -> None:
        if commit.record is not None:
            now = commit.now or self.now()
            self._workflows.write(commit.record, now)
            self._history.add(commit, commit.record, now)
        self._inbox.add(commit.handler, commit.event)
        self._timers.delete(commit.cleared_timers)
        self._timers.set((timer, timer_message(commit, timer)) for timer in commit.timers)
        for event in (commit.event, *commit.events, *(timer.event for timer in commit.timers)):
            # The size was checked, and nothing here is written to a file or a network.
            drop_text(event)

    def _add(self, message: Message) -> None:
        self._under_way += 1
        self._cancellations.add(message)
        self._queues.put(Delivery(message, 1, next(self._numbers)))

    def _remove(self, delivery: Delivery, followers: Sequence[Delivery] = ()) -> None:
        self._queues.release(delivery, followers)
        self._limits.release(delivery)
        for each in (delivery, *followers):
            self._cancellations.remove(each.message)
            self._under_way -= 1
            if self._under_way < self.queue_max:
                wake_one(self._senders)
        if not self._under_way:
            for waiter in self._idle_waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._idle_waiters.clear()
