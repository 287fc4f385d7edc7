"""Model: a pair as the storage of a simulation."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final, TypeVar, final

from attrs import define, frozen

from arvo.core.record import Record
from arvo.interpreters.delivery.operations import DeadLetterQuery
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.memory.index import InMemoryIndex
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.dead_letters import DeadLetterStore
from arvo.interpreters.paired.documents.codec import decode_message
from arvo.interpreters.paired.documents.document import WorkflowDocument
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.index import IndexQuery
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.messages import DeadLetter, Message
from arvo.interpreters.ports.results import Conflict
from arvo.testing.simulation.cluster.entry import Entry
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.pair.backend import PairBackend
from arvo.testing.simulation.pair.broker import SimulatedBroker
from arvo.testing.simulation.pair.links import (
    BrokerLink,
    IndexLink,
    MemoryLink,
    Operations,
    OrderedBrokerLink,
)
from arvo.testing.simulation.pair.memory import SimulatedMemory
from arvo.testing.simulation.pair.partitions import PartitionedBroker

T = TypeVar("T")

# The time of a run is simulated, and its dead letters and its list are compared at the end.
FOREVER: Final = Retention(dead_letters=None, finished=None)
EVERY: Final = DeadLetterQuery(limit=100_000)


@final
@frozen(kw_only=True)
class PairModel:
    """The parts of a simulated pair. Pass a wrong one to see which promises it breaks.

    *memory* and *broker* are models of the two servers; by default each run draws a broker that
    keeps the order of a key (`SimulatedBroker`), or one with partitions (`PartitionedBroker`).
    *index* is that of the memory's server, and *pair* the backend that uses them.
    """

    memory: type[SimulatedMemory] = SimulatedMemory
    broker: type[SimulatedBroker] | None = None
    index: type[InMemoryIndex] = InMemoryIndex
    pair: type[Pair] = Pair


@final
@define(eq=False)
class PairStorage:
    """The memory, the index and the broker of one run, and the backends of its processes."""

    memory: SimulatedMemory
    index: InMemoryIndex
    queue: SimulatedBroker
    pair: type[Pair]

    def send(self, message: Message) -> None:
        """Send an event from outside, as a client with a pair of its own does."""
        client = self.pair(_Direct(self.memory), _DirectBroker(self.queue))
        _run(client.send(message))

    def message(self, entry: Entry) -> Message:
        """Return the message of an entry."""
        return decode_message(entry.message)

    def refuse(self, entry: Entry) -> bool:
        """Refuse a message that is above the size limit of the broker."""
        self.queue.refuse(entry)
        return True

    def connect(self, process: Process) -> PairBackend:
        """Make the backend of a process."""
        operations = Operations()
        kind = OrderedBrokerLink if self.queue.keeps_order else BrokerLink
        broker = kind(process, self.queue, operations)
        memory, index = MemoryLink(process, self.memory, operations), IndexLink(process, self.index)
        pair = self.pair(memory, broker, retention=FOREVER, index=index)
        # The real registry renews its leases for ever, so no run would become idle.
        pair.services = process.services  # type: ignore[assignment]
        return PairBackend(process, pair, broker, operations)

    def record(self, subject: str) -> Record | None:
        """Return the stored record of a workflow."""
        return WorkflowDocument.from_stored(self.memory.values.get(subject)).record

    def list_problem(self) -> str | None:
        """Return how the index differs from the documents, None if it does not."""
        found = map(WorkflowDocument.from_stored, self._documents())
        documents = {each.record.subject: each for each in found if each.record is not None}
        query = IndexQuery(limit=len(documents) + 1)
        revisions = {row.subject: row.revision for row in _run(self.index.search(query))}
        if revisions != {subject: each.turn for subject, each in documents.items()}:
            return f"the index has the revisions {revisions} of {len(documents)} workflows"
        for subject, document in documents.items():
            blocks = _run(self.index.blocks(subject, 0, document.history_length))
            if sum(block.length for block in blocks) != document.history_length:
                return f"the index lacks a part of a history: it has {blocks}"
        return None

    def _documents(self) -> Iterator[Stored]:
        # The subject of a workflow is base64, which has no parentheses.
        return (value for subject, value in self.memory.values.items() if subject[:1] != "(")

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """Return the stored dead letters."""
        return _run(DeadLetterStore(_Direct(self.memory), FOREVER).list(EVERY))


def open_pair(
    model: PairModel,
    now: Callable[[], datetime],
    time: Callable[[], float],
    call_later: Callable[[float, Callable[[], None]], object],
    random: Random,
) -> PairStorage:
    """Make the memory and the broker of a run. *random* draws the broker."""
    kind = model.broker or random.choice((SimulatedBroker, PartitionedBroker))
    broker = kind(now, time, call_later)
    # As NATS does, and others do not.
    broker.nacks_are_returns = broker.keeps_order and random.random() < 1 / 2
    return PairStorage(model.memory(), model.index(), broker, model.pair)


@final
@frozen
class _Direct:
    """A memory that answers at once."""

    memory: SimulatedMemory

    async def read(self, subject: str) -> Stored | None:
        return self.memory.values.get(subject)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        return self.memory.write(subject, record, expected)


@final
@frozen
class _DirectBroker:
    """A broker that answers at once, for a process that only sends."""

    queue: SimulatedBroker

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        for message in messages:
            self.queue.publish(message)

    def deliveries(self, queues: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
        raise NotImplementedError(queues)

    async def ack(self, delivery: EncodedDelivery) -> None:
        raise NotImplementedError(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        raise NotImplementedError(delivery, delay)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        raise NotImplementedError(delivery, reason)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("the coroutine waits")
