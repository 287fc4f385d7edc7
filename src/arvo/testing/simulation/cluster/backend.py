"""Backend: the operations of a process on a transactional store, for its worker."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from attrs import define

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import CheckpointResult, CommitResult, Committed
from arvo.testing.simulation.cluster.loop import loop_time
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.cluster.services import ProcessServices
from arvo.testing.simulation.cluster.store import Store
from arvo.testing.simulation.faults.fault import (
    Crash,
    EffectCrash,
    Fault,
    LostAnswer,
    LostRequest,
    When,
)
from arvo.testing.simulation.faults.message import Drop

T = TypeVar("T")


@final
@define(eq=False)
class StoreBackend:
    """The backend operations that a worker calls.

    Each takes some time to reach the store, acts there atomically, and takes some time to return
    the result.
    """

    process: Process
    store: Store

    @property
    def services(self) -> ProcessServices:
        """The registry of what the processes serve."""
        return self.process.services

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue."""
        process, network = self.process, self.process.network
        while True:
            await process.send_request()
            delivery = self.store.claim(queue, process.name)
            if delivery is None:
                await network.wait(queue)
                continue
            faults, notes = network.plan.next("delivery"), self.store.entry(delivery).notes
            drops = [fault for fault in faults if isinstance(fault, Drop)]
            network.checker.on_deliver(delivery, process.name, notes, arrived=not drops)
            notes.clear()
            if not drops:
                process.on_receive(delivery, faults)
                return delivery
            network.checker.add_note(delivery, str(drops[0]))
            loop = asyncio.get_running_loop()
            loop.call_later(network.lease, self.store.release, process.name, delivery)

    async def load(self, subject: str) -> Record | None:
        """Return the record of a workflow."""
        await self.process.send_request()
        record = self.store.load(subject)
        checker = self.process.network.checker
        checker.on_load(record, checker.world.records.get(subject))
        await self.process.receive_response()
        return record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, or return why it was refused."""
        numbered = [self.process.with_sequential_id(dead_letter) for dead_letter in dead_letters]
        decision = self.process.stepper.decision()
        checker = self.process.network.checker

        def work() -> CommitResult:
            result = self.store.commit(self.process.name, delivery, commit, messages, numbered)
            checker.on_commit(delivery, commit, messages, numbered, result, decision)
            return result

        return await self._settle(delivery, work)

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Return the oldest cancellation that a delivery has to yield to."""
        await self.process.send_request()
        cancellation = self.store.pending_cancellation(delivery)
        await self.process.receive_response()
        return cancellation

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects, with the faults that hit it."""
        checker = self.process.network.checker
        faults = self.process.network.plan.next("result")
        for fault in faults:
            checker.add_note(delivery, str(fault))
        await self.process.send_request()
        await self._crash_by(faults, "before")
        result = self.store.checkpoint(self.process.name, delivery, progress)
        if isinstance(result, Committed):
            delivery.progress.data = progress
            checker.checkpoints.add(delivery, progress)
        await self._crash_by(faults, "after")
        await self.process.receive_response()
        return result

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery that needs no commit."""

        def work() -> None:
            if self.store.holds(self.process.name, delivery):
                self.process.network.checker.on_ack(delivery)
            self.store.ack(self.process.name, delivery)

        await self._settle(delivery, work)

    async def mark_started(self, delivery: Delivery) -> bool:
        """Record that the worker processes a delivery with deaths."""
        await self.process.send_request()
        is_held = self.store.mark_started(self.process.name, delivery)
        await self.process.receive_response()
        return is_held

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds."""
        await self._return(delivery, delay, self.store.nack)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; those of its key pass it meanwhile."""
        self.process.network.checker.on_defer(delivery)
        await self._return(delivery, delay, self.store.defer)

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message to any process after *delay* seconds, as the same attempt."""
        self.process.network.checker.add_note(delivery, "is left to other workers")
        await self._return(delivery, delay, self.store.put_back)

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Store a dead letter and settle its delivery."""
        assert delivery is not None
        process, checker = self.process, self.process.network.checker
        numbered = process.with_sequential_id(dead_letter)

        def work() -> None:
            if self.store.holds(process.name, delivery):
                event = delivery.message.event
                record = self.store.load(event.subject)
                is_served = process.services.is_served(process.system, event, record)
                checker.on_dead_letter(delivery, numbered, is_served=is_served)
            self.store.dead_letter(process.name, delivery, numbered)

        await self._settle(delivery, work)

    async def _return(
        self, delivery: Delivery, delay: float, work: Callable[[str, Delivery, float], None]
    ) -> None:
        """Return a delivery; if the store is unreachable, once the process is connected again."""
        process = self.process
        try:
            await process.send_request()
        except Unavailable:
            after = max(delay, process.reconnects_at - loop_time())
            asyncio.get_running_loop().call_later(after, work, process.name, delivery, 0.0)
            raise
        work(process.name, delivery, delay)
        process.network.checker.add_note(delivery, "will be redelivered")
        await process.receive_response()

    async def _settle(self, delivery: Delivery, work: Callable[[], T]) -> T:
        """Run an operation that settles a delivery, with the faults that hit it."""
        faults = self.process.on_settle(delivery)
        await self.process.send_request()
        await self._crash_by(faults, "before")
        if any(isinstance(fault, LostRequest) for fault in faults):
            raise Unavailable("the request was lost")
        result = work()
        await self._crash_by(faults, "after")
        if any(isinstance(fault, LostAnswer) for fault in faults):
            raise Unavailable("the answer was lost")
        await self.process.receive_response()
        return result

    async def _crash_by(self, faults: Sequence[Fault], when: When) -> None:
        for fault in faults:
            if isinstance(fault, EffectCrash | Crash) and fault.when == when:
                await self.process.crash_now(fault.seconds)
