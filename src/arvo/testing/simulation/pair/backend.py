"""Backend: the operations of a process on a pair, for its worker: those of the real pair."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar, final

from attrs import define

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.consumer import token_of
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    CheckpointResult,
    CommitResult,
    Committed,
    DeadLetterResult,
)
from arvo.testing.simulation.checks.checker import Checker
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.cluster.services import ProcessServices
from arvo.testing.simulation.faults.fault import Crash, EffectCrash, Fault, When
from arvo.testing.simulation.pair.links import BrokerLink, Operations
from arvo.testing.simulation.pair.operation import Effect, Operation


@final
@define(eq=False)
class PairBackend:
    """The backend operations that a worker calls, with the faults that hit them.

    The *pair* is the real one. It reaches its memory and its broker over the links of *process*.
    """

    commits_apart: ClassVar[bool] = True
    process: Process
    pair: Pair
    broker: BrokerLink
    operations: Operations

    @property
    def services(self) -> ProcessServices:
        """The registry of what the processes serve."""
        return self.process.services

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue."""
        delivery = await self.pair.receive(queue)
        self._on_receive(delivery)
        return delivery

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* when a message of *queues* is ready in this process."""
        self.pair.subscribe(queues, on_ready)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self.pair.unsubscribe(on_ready)

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Take the messages of *queues* that are ready in this process and whose key is free."""
        deliveries = await self.pair.poll(queues, limit)
        for delivery in deliveries:
            self._on_receive(delivery)
        self.process.stepper.poll(deliveries)
        return deliveries

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield the messages that wait behind a delivery of their key."""
        return self.pair.followers(delivery)

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return True for a key that a chain of *deliveries* must not go on with."""
        return self.pair.is_busy(key, deliveries)

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        """Return the records of workflows."""
        # Each in a task of its own, by which its read is checked.
        records = await asyncio.gather(*map(self.load, subjects))
        return {record.subject: record for record in records if record is not None}

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Write, send and acknowledge chains."""
        return [await self._commit_chain(chain) for chain in chains]

    async def load(self, subject: str) -> Record | None:
        """Return the record of a workflow."""
        current: Record | None = None

        def check(_: str) -> None:
            nonlocal current
            current = self._checker.world.records.get(subject)

        with self._reading(check):
            record = await self.pair.load(subject)
        self._checker.on_load(record, current)
        return record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Write, send and acknowledge a commit."""
        numbered = [self.process.with_sequential_id(dead_letter) for dead_letter in dead_letters]
        decision = self.process.stepper.decision()

        def report(result: CommitResult) -> None:
            self._checker.on_commit(delivery, commit, messages, numbered, result, decision)

        record = commit.record
        effect: Effect = "output" if record is None else "record"
        subject = None if record is None else record.subject
        async with self._settling(delivery, effect, lambda: report(Committed()), subject):
            result = await self.pair.commit(delivery, commit, messages, numbered)
            if not isinstance(result, Committed):
                report(result)
        return result

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Return the oldest cancellation that a delivery has to yield to."""
        return await self.pair.pending_cancellation(delivery)

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects, with the faults that hit it."""
        faults = self.process.network.plan.next("result")
        for fault in faults:
            self._checker.add_note(delivery, str(fault))
        await self._crash_by(faults, "before")

        def apply() -> None:
            self._checker.checkpoints.add(delivery, progress)

        with self._operation(Operation(self.process, (), "progress", apply)):
            result = await self.pair.checkpoint(delivery, progress)
        await self._crash_by(faults, "after")
        return result

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery that needs no commit."""
        async with self._settling(delivery, "ack", lambda: self._checker.on_ack(delivery)):
            await self.pair.ack(delivery)

    async def mark_started(self, delivery: Delivery) -> bool:
        """Record that the worker processes a delivery with deaths."""
        return await self.pair.mark_started(delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds."""
        await self.pair.nack(delivery, delay)
        self._checker.add_note(delivery, "will be redelivered")

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; those of its key pass it meanwhile."""
        self._checker.on_defer(delivery)
        await self.pair.defer(delivery, delay)
        self._checker.add_note(delivery, "will be redelivered")

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message to any process after *delay* seconds, as the same attempt."""
        if not self.broker.broker.keeps_order:
            self._checker.on_defer(delivery)
        self._checker.add_note(delivery, "is left to other workers")
        await self.pair.release(delivery, delay)

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> DeadLetterResult:
        """Store a dead letter and settle its delivery."""
        assert delivery is not None
        process, event = self.process, delivery.message.event
        numbered = process.with_sequential_id(dead_letter)

        def apply() -> None:
            record = self._checker.world.records.get(event.subject)
            is_served = process.services.is_served(process.system, event, record)
            self._checker.on_dead_letter(delivery, numbered, is_served=is_served)

        async with self._settling(delivery, "dead letter", apply):
            return await self.pair.dead_letter(delivery, numbered)

    @property
    def _checker(self) -> Checker:
        return self.process.network.checker

    def _on_receive(self, delivery: Delivery) -> None:
        """Report a delivery, with the faults that hit it."""
        notes = self.broker.take_notes(token_of(delivery))
        self._checker.on_deliver(delivery, self.process.name, notes)
        self._check_progress(delivery)
        self.process.on_receive(delivery, self.broker.take_faults(token_of(delivery)))

    async def _commit_chain(self, chain: CommitChain) -> bool:
        if self.process.is_dead:
            # A tick that is cancelled starts the tasks of its commits all the same.
            raise asyncio.CancelledError
        delivery = chain.deliveries[0]
        decision = self.process.stepper.take_decision(delivery) if chain.commits else None
        effect: Effect = "ack" if decision is None else "output"
        subject = None
        for commit in chain.commits:
            if commit.record is not None:
                effect, subject = "record", commit.record.subject

        def apply() -> None:
            if decision is None:
                self._checker.on_ack(delivery)
            else:
                self._checker.on_chain(chain, decision, self.process.name)

        async with self._settling(delivery, effect, apply, subject):
            [is_applied] = await self.pair.commit_chains([chain])
        return is_applied

    def _check_progress(self, delivery: Delivery) -> None:
        """Compare the checkpoint that a delivery will read with the one that was stored."""
        progress, checkpoints = delivery.progress, self._checker.checkpoints
        read, expected = progress.read, b""
        if read is None:
            return

        def check(_: str) -> None:
            nonlocal expected
            expected = checkpoints.find(delivery)

        async def read_and_check() -> bytes:
            with self._reading(check):
                data = await read()
            self._checker.on_progress(delivery, data, expected)
            return data

        progress.read = read_and_check

    @contextmanager
    def _reading(self, check: Callable[[str], None]) -> Iterator[None]:
        """Call *check* at the moment at which this task reads the memory."""
        task = asyncio.current_task()
        self.operations.on_read[task] = check
        try:
            yield
        finally:
            del self.operations.on_read[task]

    @asynccontextmanager
    async def _settling(
        self,
        delivery: Delivery,
        effect: Effect,
        apply: Callable[[], None],
        subject: str | None = None,
    ) -> AsyncIterator[None]:
        """Run an operation that settles a delivery, with the faults that hit it."""
        faults = self.process.on_settle(delivery)
        await self._crash_by(faults, "before")
        with self._operation(Operation(self.process, faults, effect, apply, subject)):
            yield
        await self._crash_by(faults, "after")

    @contextmanager
    def _operation(self, operation: Operation) -> Iterator[None]:
        """Let the requests of this task belong to an operation."""
        task = asyncio.current_task()
        self.operations.current[task] = operation
        try:
            yield
        finally:
            del self.operations.current[task]

    async def _crash_by(self, faults: Sequence[Fault], when: When) -> None:
        for fault in faults:
            if isinstance(fault, EffectCrash | Crash) and fault.when == when:
                await self.process.crash_now(fault.seconds)
