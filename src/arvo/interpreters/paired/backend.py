"""Backend: a pair of any machine memory and any broker, as one backend."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar, Unpack, final

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import data_bytes_max
from arvo.interpreters.codecs.stores import EncodedIndex, EncodedMemory
from arvo.interpreters.codecs.unreadable import is_unreadable
from arvo.interpreters.delivery.brokers.depth_limiter import DepthLimiter
from arvo.interpreters.delivery.operations import (
    DeadLetterQuery,
    WorkflowQuery,
    select_workflows,
)
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.delivery.tasks import end_within, poll_until_idle
from arvo.interpreters.paired.chains import ChainWriter
from arvo.interpreters.paired.consumer import BrokerConsumer, token_of
from arvo.interpreters.paired.dead_letters import (
    DEFAULT_RETENTION,
    AuditStore,
    DeadLetterStore,
)
from arvo.interpreters.paired.deaths import DeathCounter
from arvo.interpreters.paired.documents.codec import encode_message, encode_output
from arvo.interpreters.paired.documents.document import Output
from arvo.interpreters.paired.documents.wire import Wire
from arvo.interpreters.paired.index import IndexReader, IndexWriter
from arvo.interpreters.paired.outbox import Outbox
from arvo.interpreters.paired.progress import ProgressStore
from arvo.interpreters.paired.releases import ReleaseCounts
from arvo.interpreters.paired.reports import PairedReports, half_channel
from arvo.interpreters.paired.services import ServiceStore
from arvo.interpreters.paired.unreadable import original_message, stand_in_event
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.index import HasIndex, Index
from arvo.interpreters.ports.machine_memory import Closeable, MachineMemory
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message, key_of
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
    Fenced,
    IdReused,
    StoredWorkflow,
    VersionUse,
    WorkflowFilters,
    WorkflowIdTaken,
)
from arvo.interpreters.ports.size import check_sizes
from arvo.interpreters.reports.encoded import EncodedReports

T = TypeVar("T")

# Messages under way before `send` waits, if the broker reports its depth.
QUEUE_MAX: Final = 10_000
# The pause before an event is tried again that another worker has stored results for.
CONTENDED_SECONDS: Final = 0.5
# How long a commit may take before it is given up and tried again: each call to a server has a time
# of its own, and is over long before. A large one gets more, for each message.
COMMIT_SECONDS_MAX: Final = 60.0
MESSAGE_SECONDS_MAX: Final = 0.1
# A subject that no workflow has: reading it shows whether the memory answers.
_PING_SUBJECT: Final = "arvo.ping"


@final
@define(eq=False)
class Pair:
    """The backend that `paired` makes. *owned*: close memory and broker with the backend.

    *index*: that of the memory, if it has one and none is given. *codec*, *clear*: see `paired`.
    """

    commits_apart: ClassVar[bool] = True
    memory: MachineMemory
    broker: Broker
    queue_max: int = QUEUE_MAX
    owned: bool = False
    retention: Retention = DEFAULT_RETENTION
    index: Index | None = None
    codec: Codec | None = None
    clear: Collection[str] = ()
    services: ServiceStore = field(init=False)
    reports: EncodedReports | None = field(init=False)
    _wire: Wire = field(init=False)
    _consumer: BrokerConsumer = field(init=False)
    _deaths: DeathCounter = field(init=False)
    _dead_letters: DeadLetterStore = field(init=False)
    _audit: AuditStore = field(init=False)
    _outbox: Outbox = field(init=False)
    _index: IndexReader = field(init=False)
    _chains: ChainWriter = field(init=False)
    _passes_keys: bool = field(init=False)
    _progress: ProgressStore = field(init=False)
    _limiter: DepthLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        if self.retention.archive is not None:
            issue = Issue(
                "archive", "None: a pair removes no workflow", str(self.retention.archive)
            )
            raise Violated(ConfigViolation("the retention of a pair has no archive", issue))
        memory, codec = self.memory, self.codec
        if codec is not None:
            memory = EncodedMemory(memory, codec)
        self._wire = Wire(self.broker, stand_in_event, codec, frozenset(self.clear))
        self.services = ServiceStore(memory)
        nacks_are_returns = getattr(self.broker, "nacks_are_returns", False)
        self._deaths = DeathCounter(memory, nacks_are_returns)
        self._dead_letters = DeadLetterStore(memory, self.retention)
        self._audit = AuditStore(memory, self.retention)
        self._consumer = BrokerConsumer(
            self.broker,
            self._wire.decode,
            self._dead_letters.add_unreadable,
            self._deaths,
            ReleaseCounts(memory),
        )
        channel = half_channel(self.memory, self.broker)
        self.reports = None
        if channel is not None:
            reports = PairedReports(channel, self._consumer.is_lost)
            self.reports = EncodedReports(reports, codec)
        if self.index is None and isinstance(self.memory, HasIndex):
            self.index = self.memory.index
        index = self.index
        if index is not None and codec is not None:
            index = EncodedIndex(index, codec)
        writer = IndexWriter(index, self.retention.finished)
        self._outbox = Outbox(memory, self._wire, self._dead_letters, writer)
        self._index = IndexReader(index, self._outbox.documents)
        self._chains = ChainWriter(self.broker, self._outbox)
        self._passes_keys = self._chains.passes_keys
        self._progress = ProgressStore(memory, self._outbox)
        self._limiter = DepthLimiter(self.broker, self.queue_max)

    def with_codec(self, codec: Codec) -> "Pair":
        """Return this backend, which was not used yet, with a codec."""
        return evolve(self, codec=codec)

    async def send(self, message: Message) -> None:
        """Publish an event from outside; waits while the queue is full."""
        check_sizes([message], data_bytes_max(self.codec))
        await self._limiter.admit()
        await self._wire.publish([encode_message(message)])
        await self._mark(message)

    async def wait_for_room(self) -> None:
        """Wait while the queue is full."""
        await self._limiter.wait_for_room()

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue whose key is free in this process."""
        while True:
            delivery = await self._consumer.receive(queue)
            # It may have waited here for its key while the connection was lost.
            if not await self._forget_lost(delivery):
                self._progress.attach(delivery)
                return delivery

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* when a message of *queues* is ready."""
        self._consumer.subscribe(queues, on_ready)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self._consumer.queues.unsubscribe(on_ready)

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Take the messages of *queues* that are ready in this process and whose key is free."""
        polled = self._consumer.poll(queues, limit)
        # They may have waited here while the connection was lost.
        deliveries = [each for each in polled if not await self._forget_lost(each)]
        for delivery in deliveries:
            self._progress.attach(delivery)
        return deliveries

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:  # noqa: ARG002 - it has none
        """Yield nothing: the broker delivers the next message of a key when one is settled."""
        return iter(())

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return True for a key that a chain of *deliveries* must not go on with."""
        is_own = bool(deliveries) and key_of(deliveries[0].message.to) == key
        if not is_own or not self._passes_keys:
            return True
        return self._consumer.queues.is_busy(key, deliveries)

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        """Return the newest records of workflows."""
        records = await asyncio.gather(*map(self.load, subjects))
        return {record.subject: record for record in records if record is not None}

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Apply chains, each by itself: see `ChainWriter`."""
        if len(chains) == 1:
            # The usual case needs no task of its own.
            return [await self._commit_chain(chains[0])]
        return list(await asyncio.gather(*map(self._commit_chain, chains)))

    async def load(self, subject: str) -> Record | None:
        """Return the record of a workflow."""
        return (await self._outbox.read(subject)).record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Write, send and ack: see `paired`."""
        output = Output(encode_output(commit, messages), tuple(dead_letters), commit.answers)
        if commit.record is None and not commit.expected:
            work: Awaitable[CommitResult] = self._outbox.send_answer(delivery, commit, output)
        else:
            work = self._outbox.commit_turn(delivery, commit, output)
        result = await _end_commit(work, len(messages))
        if not isinstance(result, Conflict | IdReused | CancellationPending | WorkflowIdTaken):
            await self.ack(delivery)
        return result

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Read the oldest cancellation that a delivery has to yield to."""
        return await self._outbox.cancellations.pending(delivery)

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects beside the record, or on a page without one.

        In place of those that this worker knows: of two workers that process one event, the slower
        one gets `Fenced`. If the delivery is still its own, it comes again a little later, and goes
        on behind the results of the other worker.
        """
        if await self._forget_lost(delivery):
            return Fenced()
        known = {await delivery.progress.load(), delivery.progress.unstored, progress}
        result = await self._progress.write(delivery.message, progress, known)
        match result:
            case Duplicate():
                await self.ack(delivery)
                return Fenced()
            case Fenced():
                self._consumer.put_off(delivery, CONTENDED_SECONDS)
                return result
            case Committed():
                delivery.progress.data = progress
                # It may be lost since: then the next effect is not ours.
                return Fenced() if await self._forget_lost(delivery) else result

    async def find_refusal(
        self, delivery: Delivery, expected: int | None
    ) -> Conflict | Duplicate | Fenced | IdReused | None:
        """Return why a turn of this delivery would be refused, None if it would not.

        With `Fenced` it forgets the delivery, which another process has.
        """
        refusal = await self._outbox.find_refusal(delivery.message, expected)
        if refusal is None and await self._forget_lost(delivery):
            return Fenced()
        return refusal

    async def find_consumption(self, message: Message) -> Duplicate | IdReused | None:
        """Return the refusal of an event that was consumed before."""
        return await self._outbox.find_consumption(message)

    async def workflows(
        self,
        *,
        handler: str | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[WorkflowFilters],
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows as the index has them; the runs of a chosen id as the memory has them.

        Without an index it has only these, and raises `Violated` for any other list: a store that
        only compares and sets cannot list its values.
        """
        query = WorkflowQuery(handler, after, limit, **filters)
        if (id_ := query.workflow_id) is None:
            return await self._index.workflows(query)
        chosen = await self._outbox.workflow_ids.find(id_)
        subjects = dict.fromkeys((*chosen, *await self._index.subjects(id_)))
        stored = await asyncio.gather(*map(self.workflow, subjects))
        return select_workflows(query, filter(None, stored))

    async def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows as the index has them, one by one."""
        return await self._index.versions()

    async def timers(
        self, *, handler: str | None = None, after: DueTimer | None = None, limit: int = PAGE_MAX
    ) -> tuple[DueTimer, ...]:
        """List timers as the records of the indexed workflows have them, the next one first."""
        return await self._index.timers(handler, after, limit)

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Return a workflow and its times."""
        document = await self._outbox.read(subject)
        if document.record is None or document.began is None or document.changed is None:
            return None
        return StoredWorkflow(
            record=document.record, began=document.began, changed=document.changed
        )

    @property
    def stores_history(self) -> bool:
        """Whether there is an index, which has the histories."""
        return self.index is not None

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Return the newest entries of a history, oldest first; nothing without an index."""
        return await self._index.history(subject, before, limit)

    async def produced(self, subject: str) -> tuple[Event[Any], ...]:
        """Return the output that may be unsent; for an ended workflow, that of its last turn."""
        return await self._outbox.unsent_events(subject)

    async def answers(self, subject: str, signal: str) -> tuple[Event[Any], ...]:
        """Return the answers to a signal, unless hundreds of others have followed."""
        return await self._outbox.answers_to(subject, signal)

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record by compare and set, and send *timers* and the events in *redeliver*."""
        return await self._outbox.replace_record(record, expected, timers, redeliver)

    async def ack(self, delivery: Delivery) -> None:
        """Ack a delivery."""
        await self.broker.ack(token_of(delivery))
        self._consumer.release(delivery)
        await self._deaths.on_settled(delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Redeliver after *delay* seconds, before the others of its key."""
        await self._consumer.nack(delivery, delay)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Redeliver after *delay* seconds; the others of its key pass it."""
        await self._consumer.defer(delivery, delay)

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Redeliver after *delay* seconds as the same attempt, to any process."""
        await self._consumer.hand_back(delivery, delay)

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> Committed | Duplicate | Fenced:
        """Store a dead letter, then settle. If the event was consumed after all, ack it instead."""
        if delivery is not None and await self._outbox.was_consumed(delivery.message):
            await self.ack(delivery)
            return Duplicate()
        if delivery is not None and await self._forget_lost(delivery):
            return Fenced()
        await self._dead_letters.add(dead_letter)
        if delivery is not None:
            await self._outbox.cancellations.unmark(delivery.message)
            await self.broker.dead_letter(token_of(delivery), dead_letter.reason)
            self._consumer.release(delivery)
            await self._deaths.on_dead_letter(delivery)
        return Committed()

    async def mark_started(self, delivery: Delivery) -> bool:
        """Write that this process processes a delivery that had a death before."""
        await self._deaths.mark_started(delivery)
        return True

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[DeadLetterFilters],
    ) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        query = DeadLetterQuery(after, limit, **filters)
        return await self._dead_letters.list(query)

    async def dead_letter_groups(
        self, *, limit: int = PAGE_MAX, **filters: Unpack[DeadLetterFilters]
    ) -> tuple[DeadLetterGroup, ...]:
        """Count the dead letters in groups, the largest first."""
        query = DeadLetterQuery(limit=limit, **filters)
        return await self._dead_letters.groups(query)

    async def find_dead_letter(self, id: str) -> DeadLetter | None:  # noqa: A002 - the port's word
        """Return the dead letter with that id."""
        return await self._dead_letters.get(id)

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Send *messages*, then delete the dead letter; two concurrent calls may both send."""
        check_sizes(messages, data_bytes_max(self.codec))
        dead_letter = await self._dead_letters.get(id)
        if dead_letter is None:
            return False
        if messages and is_unreadable(dead_letter.event, id):
            await self.broker.publish([original_message(dead_letter)])
        elif messages:
            await self._deaths.forget(dead_letter)
            await self._wire.publish([encode_message(message) for message in messages])
            for message in messages:
                await self._mark(message)
        await self._dead_letters.remove(dead_letter)
        return True

    async def record_act(self, entry: AuditEntry) -> None:
        """Store the act that an operator is about to do."""
        await self._audit.add(entry)

    async def audit_log(
        self, *, after: AuditEntry | None = None, limit: int = PAGE_MAX, subject: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """List the acts of operators, newest first."""
        return await self._audit.list(after, limit, subject)

    async def depth(self) -> Depth:
        """Count the messages; for a broker that cannot count, only those in this process."""
        return await self._consumer.depth()

    async def ping(self) -> None:
        """Ask the memory and, if it can count, the broker; raises if one does not answer."""
        await self.load(_PING_SUBJECT)
        await self.depth()

    async def wait_until_idle(self) -> None:
        """Wait until no message is under way; for a broker that cannot count, until it is quiet."""
        # A message that was just sent may be on its way to this process.
        self._consumer.expect_activity()
        await poll_until_idle(self._consumer.is_busy)

    async def close(self) -> None:
        """End the iterations; the broker redelivers the unsettled messages."""
        self._limiter.close()
        await self.services.close()
        # Before the broker returns the deliveries to other processes.
        await self._deaths.close()
        await self._consumer.close()
        self._outbox.clear_cache()
        for half in (self.memory, self.broker) if self.owned else ():
            if isinstance(half, Closeable):
                await half.close()

    async def _commit_chain(self, chain: CommitChain) -> bool:
        if not await _end_commit(self._chains.write(chain), len(chain.messages)):
            return False
        [delivery] = chain.deliveries
        await self.ack(delivery)
        return True

    async def _mark(self, message: Message) -> None:
        """Mark a message that was published, if it is a cancellation; interrupt its workflow."""
        if await self._outbox.cancellations.mark(message):
            self._consumer.queues.interrupt(message.to)

    async def _forget_lost(self, delivery: Delivery) -> bool:
        """Forget a delivery that another process may have by now; return whether it was lost."""
        is_lost = self._consumer.is_lost(delivery)
        if is_lost:
            await self._consumer.forget(delivery)
        return is_lost


async def _end_commit(work: Awaitable[T], messages: int) -> T:
    """Await a commit of so many messages, without its ack: a delivery is settled once."""
    seconds = COMMIT_SECONDS_MAX + MESSAGE_SECONDS_MAX * messages
    return await end_within(seconds, work, call="commit")
