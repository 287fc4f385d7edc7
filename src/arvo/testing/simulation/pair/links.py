"""Links: memory, index and broker of a pair as one process reaches them, over the network."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Any, final

from attrs import define, field

from arvo.interpreters.memory.index import InMemoryIndex
from arvo.interpreters.paired.documents.codec import decode_delivery
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.index import HistoryBlock, IndexQuery, IndexRow
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.results import Conflict
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.faults.fault import Fault
from arvo.testing.simulation.faults.message import Drop
from arvo.testing.simulation.pair.broker import SimulatedBroker
from arvo.testing.simulation.pair.memory import SimulatedMemory
from arvo.testing.simulation.pair.operation import Operation

_Task = asyncio.Task[Any] | None


@final
@define(eq=False)
class Operations:
    """The operation that each task of a process is in, and the check of what it reads next."""

    current: dict[_Task, Operation] = field(factory=dict, init=False)
    # Called with the subject that a task reads, at the moment of the read.
    on_read: dict[_Task, Callable[[str], None]] = field(factory=dict, init=False)

    def find(self) -> Operation | None:
        """Return the operation of the current task."""
        return self.current.get(asyncio.current_task())


@final
@define(eq=False)
class MemoryLink:
    """A `MachineMemory`: each request takes some time to reach the store, and acts atomically."""

    process: Process
    memory: SimulatedMemory
    operations: Operations

    async def read(self, subject: str) -> Stored | None:
        """Return the value of a subject."""
        await self.process.send_request("store")
        stored = self.memory.read(subject)
        if (check := self.operations.on_read.get(asyncio.current_task())) is not None:
            check(subject)
        await self.process.receive_response("store")
        return stored

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Store a value if the stored revision is *expected*."""
        operation = self.operations.find()
        await self.process.send_request("store")
        if operation is not None:
            operation.lose_request()
        result = self.memory.write(subject, record, expected)
        if operation is not None and isinstance(result, Stored):
            operation.on_write(subject)
            await operation.crash_after("write")
            operation.lose_answer()
        await self.process.receive_response("store")
        return result


@final
@define(eq=False)
class IndexLink:
    """An `Index` on the server of the memory. No worker reads it."""

    process: Process
    index: InMemoryIndex

    async def write(self, row: IndexRow, blocks: Sequence[HistoryBlock]) -> None:
        """Store a row and blocks."""
        await self.process.send_request("store")
        await self.index.write(row, blocks)
        await self.process.receive_response("store")

    async def search(self, query: IndexQuery) -> tuple[IndexRow, ...]:
        """Return the rows that match."""
        return await self.index.search(query)

    async def blocks(self, subject: str, start: int, end: int) -> tuple[HistoryBlock, ...]:
        """Return the blocks of a workflow."""
        return await self.index.blocks(subject, start, end)

    async def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete workflows that have ended before."""
        return await self.index.delete_ended(before, limit)


@define(eq=False)
class BrokerLink:
    """A `Broker` that a process reaches over the network.

    It publishes one message after the other: a crash may come between them.
    """

    process: Process
    broker: SimulatedBroker
    operations: Operations
    # Which consumer of this process has got a delivery.
    _consumers: dict[tuple[int, int], str] = field(factory=dict, init=False)
    _faults: dict[tuple[int, int], Sequence[Fault]] = field(factory=dict, init=False)

    @property
    def nacks_are_returns(self) -> bool:
        """Whether the broker counts each delivery, and not which of them were returned."""
        return self.broker.nacks_are_returns

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages."""
        operation = self.operations.find()
        await self.process.send_request("broker")
        if operation is not None:
            operation.lose_request()
            operation.on_publish()
        for number, message in enumerate(messages):
            self.broker.publish(message)
            if operation is not None and number < len(messages) - 1:
                await operation.crash_after("publish")
        if operation is not None:
            await operation.crash_after("send")
            operation.lose_answer()
        await self.process.receive_response("broker")

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of a queue, with the faults that hit them."""
        [queue], process = queues, self.process
        consumer = f"{process.name} {queue} {len(process.holders)}"
        process.holders.append(consumer)
        try:
            while True:
                await process.send_request("broker")
                delivery = self.broker.deliver(queue, consumer)
                if delivery is None:
                    await process.network.wait(queue)
                elif not self._is_dropped(delivery, consumer):
                    self._consumers[delivery.token] = consumer
                    yield delivery
        finally:
            # A process that has crashed returns nothing: its lease has to expire.
            if not process.is_dead:
                self.broker.release(consumer)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Delete a message that was processed."""
        operation, consumer = self.operations.find(), self._consumer(delivery)
        await self.process.send_request("broker")
        if operation is not None:
            operation.lose_request()
            # Also if the lease has expired: the event is processed, and comes once more.
            operation.on_ack()
        self.broker.ack(consumer, delivery)
        if operation is not None:
            operation.lose_answer()
        await self.process.receive_response("broker")

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds, before the others of its key."""
        await self._return(delivery, delay, self.broker.nack)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:  # noqa: ARG002 - the pair stores it
        """Delete a message that cannot be processed."""
        await self.process.send_request("broker")
        self.broker.dead_letter(self._consumer(delivery), delivery)
        await self.process.receive_response("broker")

    def take_faults(self, delivery: EncodedDelivery) -> Sequence[Fault]:
        """Return the faults that hit a delivery when a worker receives it."""
        return self._faults.pop(delivery.token, ())

    def take_notes(self, delivery: EncodedDelivery) -> list[str]:
        """Return the faults that have hit a message since its last delivery."""
        entry = self.broker.queue.get(delivery.token[0])
        if entry is None:
            return []
        notes, entry.notes = entry.notes, []
        return notes

    def _is_dropped(self, delivery: EncodedDelivery, consumer: str) -> bool:
        """Return True for a delivery that does not reach its process; its lease will expire."""
        network = self.process.network
        faults = network.plan.next("delivery")
        self._faults[delivery.token] = [fault for fault in faults if not isinstance(fault, Drop)]
        drops = [fault for fault in faults if isinstance(fault, Drop)]
        if drops:
            decoded, name = decode_delivery(delivery), self.process.name
            notes = self.take_notes(delivery)
            network.checker.on_deliver(decoded, name, notes, arrived=False)
            network.checker.add_note(decoded, str(drops[0]))
            # A broker with partitions would give the next one of its key to this consumer.
            self.broker.entry(delivery).holder = lost = f"{consumer} (lost)"
            network.loop.call_later(network.lease, self.broker.release, lost, delivery)
        return bool(drops)

    async def _return(
        self,
        delivery: EncodedDelivery,
        delay: float,
        change: Callable[[str, EncodedDelivery, float], None],
    ) -> None:
        await self.process.send_request("broker")
        change(self._consumer(delivery), delivery, delay)
        await self.process.receive_response("broker")

    def _consumer(self, delivery: EncodedDelivery) -> str:
        return self._consumers[delivery.token]


@final
@define(eq=False)
class OrderedBrokerLink(BrokerLink):
    """A `Broker` that keeps the order of a key also where a delivery is returned."""

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; the others of its key pass it."""
        await self._return(delivery, delay, self.broker.defer)

    async def has_others(self, delivery: EncodedDelivery) -> bool:
        """Return whether another message of the key of *delivery* is stored."""
        await self.process.send_request("broker")
        has_others = self.broker.has_others(self._consumer(delivery), delivery)
        self.process.network.checker.on_look(decode_delivery(delivery).message)
        await self.process.receive_response("broker")
        return has_others
