"""Backend: a pair of any machine memory and any broker, as one backend."""

from collections.abc import Sequence
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.operations import DeadLetterQuery
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.delivery.tasks import poll_until_idle
from arvo.interpreters.paired.backpressure import DepthLimiter
from arvo.interpreters.paired.codec import encode_message, encode_output
from arvo.interpreters.paired.consumer import BrokerConsumer, token_of
from arvo.interpreters.paired.dead_letters import DEFAULT_RETENTION, DeadLetterStore
from arvo.interpreters.paired.deaths import DeathCounter
from arvo.interpreters.paired.document import Output
from arvo.interpreters.paired.outbox import Outbox
from arvo.interpreters.paired.progress import ProgressStore
from arvo.interpreters.paired.releases import ReleaseCounts
from arvo.interpreters.paired.services import ServiceStore
from arvo.interpreters.paired.unreadable import is_unreadable, original_message
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker, ReportsDepth
from arvo.interpreters.ports.machine_memory import Closeable, MachineMemory
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    PAGE_MAX,
    CancellationPending,
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    Depth,
    Duplicate,
    Fenced,
    StoredWorkflow,
)
from arvo.interpreters.ports.size import check_sizes

# Messages under way before `send` waits, if the broker reports its depth.
QUEUE_MAX: Final = 10_000
# A subject that no workflow has: reading it shows whether the memory answers.
_PING_SUBJECT: Final = "arvo.ping"


def paired(
    memory: MachineMemory,
    broker: Broker,
    *,
    queue_max: int = QUEUE_MAX,
    retention: Retention = DEFAULT_RETENTION,
) -> Backend:
    """Make a backend of a memory and a broker that do not know each other.

    *queue_max*: messages under way before `send` waits, if the broker is a `ReportsDepth`.
    *retention*: how long dead letters are stored; their number is bounded anyway. You own memory
    and broker: closing the backend ends its iterations and leaves both open.

    A turn of a workflow is committed in four moves, and a crash may follow each of them:

    1. write: record and journal as one value, by compare and set. The journal holds which events
       were consumed, and the output of the newest ones: events, timers, dead letters.
    2. send: publish the events (timers as messages that are due later), store the dead letters.
    3. ack the delivery.
    4. drop the output from the journal, with the next write.

    A crash before the first move has no effect. After any later one the broker redelivers the
    event; the pair finds it in the journal and sends the same output again, and the consumers of
    that output drop duplicates by journals of their own. When two workers process one event, the
    write of the slower one is refused.

    A handler without memory has no journal: when its event is redelivered, it sends its output
    again, with the same ids. Events to a domain and replies to a caller are delivered at least
    once, with the same id each time.
    """
    return Pair(memory, broker, queue_max, retention=retention)


@final
@define(eq=False)
class Pair:
    """The backend that `paired` makes. *owned*: close memory and broker with the backend."""

    memory: MachineMemory
    broker: Broker
    queue_max: int = QUEUE_MAX
    owned: bool = False
    retention: Retention = DEFAULT_RETENTION
    services: ServiceStore = field(init=False)
    _consumer: BrokerConsumer = field(init=False)
    _deaths: DeathCounter = field(init=False)
    _dead_letters: DeadLetterStore = field(init=False)
    _outbox: Outbox = field(init=False)
    _progress: ProgressStore = field(init=False)
    _limiter: DepthLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.services = ServiceStore(self.memory)
        nacks_are_returns = getattr(self.broker, "nacks_are_returns", False)
        self._deaths = DeathCounter(self.memory, nacks_are_returns)
        self._dead_letters = DeadLetterStore(self.memory, self.retention)
        self._consumer = BrokerConsumer(
            self.broker,
            self._dead_letters.add_unreadable,
            self._deaths,
            ReleaseCounts(self.memory),
        )
        self._outbox = Outbox(self.memory, self.broker, self._dead_letters)
        self._progress = ProgressStore(self.memory, self._outbox)
        self._limiter = DepthLimiter(self.broker, self.queue_max)

    async def send(self, message: Message) -> None:
        """Publish an event from outside; waits while the queue is full."""
        check_sizes([message])
        await self._limiter.admit()
        await self.broker.publish([encode_message(message)])
        await self._mark(message)

    async def wait_for_room(self) -> None:
        """Wait while the queue is full."""
        await self._limiter.wait_for_room()

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue whose key is free in this process."""
        delivery = await self._consumer.receive(queue)
        self._progress.attach(delivery)
        return delivery

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
        output = Output(encode_output(commit, messages), tuple(dead_letters))
        if commit.record is None and not commit.expected:
            result: CommitResult = await self._outbox.send_answer(commit, output)
        else:
            result = await self._outbox.commit_turn(delivery, commit, output)
        if not isinstance(result, Conflict | CancellationPending):
            await self.ack(delivery)
        return result

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Read the oldest cancellation that a delivery has to yield to."""
        return await self._outbox.cancellations.pending(delivery)

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects beside the record, or on a page without one."""
        if await self._progress.write(delivery.message, progress):
            delivery.progress.data = progress
            return Committed()
        await self.ack(delivery)
        return Fenced()

    async def find_refusal(
        self, delivery: Delivery, expected: int | None
    ) -> Conflict | Duplicate | None:
        """Return why a turn of this delivery would be refused, None if it would not."""
        return await self._outbox.find_refusal(delivery.message, expected)

    async def workflows(self, **_: object) -> tuple[StoredWorkflow, ...]:
        """Raise `Violated`: a store that only compares and sets cannot list its values."""
        issue = Issue("workflows", "a backend that can list, such as sqlite:///file.db", "a pair")
        raise Violated(ConfigViolation("ask for one workflow, by its subject", issue))

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Return a workflow and its times."""
        document = await self._outbox.read(subject)
        if document.record is None or document.began is None or document.changed is None:
            return None
        return StoredWorkflow(
            record=document.record, began=document.began, changed=document.changed
        )

    async def history(self, subject: str, **_: object) -> tuple[HistoryEntry, ...]:  # noqa: ARG002
        """Return nothing: a pair stores no history, only a journal of consumed events."""
        return ()

    async def produced(self, subject: str) -> tuple[Event[Any], ...]:
        """Return the output that may be unsent; for an ended workflow, that of its last turn."""
        return await self._outbox.unsent_events(subject)

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

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Store a dead letter, then settle. If the event was consumed after all, ack it instead."""
        if delivery is not None and await self._outbox.was_consumed(delivery.message):
            await self.ack(delivery)
            return
        await self._dead_letters.add(dead_letter)
        if delivery is not None:
            await self._outbox.cancellations.unmark(delivery.message)
            await self.broker.dead_letter(token_of(delivery), dead_letter.reason)
            self._consumer.release(delivery)
            await self._deaths.on_dead_letter(delivery)

    async def mark_started(self, delivery: Delivery) -> bool:
        """Write that this process processes a delivery that had a death before."""
        await self._deaths.mark_started(delivery)
        return True

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        subject: str | None = None,
    ) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        return await self._dead_letters.list(DeadLetterQuery(after, limit, subject))

    async def find_dead_letter(self, id: str) -> DeadLetter | None:  # noqa: A002 - the port's word
        """Return the dead letter with that id."""
        return await self._dead_letters.get(id)

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Send *messages*, then delete the dead letter; two concurrent calls may both send."""
        check_sizes(messages)
        dead_letter = await self._dead_letters.get(id)
        if dead_letter is None:
            return False
        if messages and is_unreadable(dead_letter):
            await self.broker.publish([original_message(dead_letter)])
        elif messages:
            await self._deaths.forget(dead_letter)
            await self.broker.publish([encode_message(message) for message in messages])
            for message in messages:
                await self._mark(message)
        await self._dead_letters.remove(dead_letter)
        return True

    async def depth(self) -> Depth:
        """Count the messages; for a broker that cannot count, only those in this process."""
        waiting = self._consumer.waiting
        if isinstance(self.broker, ReportsDepth):
            depth = await self.broker.depth()
            return evolve(depth, ready=depth.ready + waiting, taken=max(0, depth.taken - waiting))
        return Depth(ready=waiting, taken=len(self._consumer.queues.taken))

    async def ping(self) -> None:
        """Ask the memory and, if it can count, the broker; raises if one does not answer."""
        await self.load(_PING_SUBJECT)
        await self.depth()

    async def wait_until_idle(self) -> None:
        """Wait until no message is under way; for a broker that cannot count, until it is quiet."""
        # A message that was just sent may be on its way to this process.
        self._consumer.expect_activity()
        await poll_until_idle(self._is_busy)

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

    async def _mark(self, message: Message) -> None:
        """Mark a message that was published, if it is a cancellation; interrupt its workflow."""
        if await self._outbox.cancellations.mark(message):
            self._consumer.queues.interrupt(message.to)

    async def _is_busy(self) -> bool:
        if isinstance(self.broker, ReportsDepth):
            return bool((await self.broker.depth()).total)
        return not self._consumer.is_idle
