"""Backend: the operations of a process on a transactional store, for its worker."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, final

from attrs import define

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message, key_of
from arvo.interpreters.ports.results import CheckpointResult, CommitResult, Committed, Fenced
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

    commits_apart: ClassVar[bool] = False
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
            if self._deliver(delivery):
                return delivery

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* when a message of *queues* may be ready."""
        self.process.network.subscribe(queues, on_ready)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self.process.network.unsubscribe(on_ready)

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Take the messages of *queues* that are ready and whose key is free."""
        await self.process.send_request()
        polled = self.store.poll(queues, limit, self.process.name)
        deliveries = [each for each in polled if self._deliver(each)]
        self.process.stepper.poll(deliveries)
        return deliveries

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield the messages that wait behind a delivery of their key."""
        return iter(self.store.followers(self.process.name, delivery))

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return whether this process knows of a message of a key besides *deliveries*."""
        held = (each for each in self.store.queue.values() if each.holder == self.process.name)
        own = [delivery.token for delivery in deliveries]
        if any(each.key == key and each.token not in own for each in held):
            return True
        behind = self.store.followers(self.process.name, deliveries[0]) if deliveries else []
        return any(key_of(each.message.to) == key and each.token not in own for each in behind)

    def limit(self, queues: Collection[str]) -> None:
        """Do nothing: a process owns the deliveries that its tasks take."""

    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        """Let deliveries take their slots, or park them."""
        await self.process.send_request()
        results = self.store.acquire(self.process.name, requests)
        self.process.network.checker.on_acquire(self.process.name, requests, results)
        await self.process.receive_response()
        return results

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        """Return the records of workflows."""
        await self.process.send_request()
        checker = self.process.network.checker
        loaded = dict[str, Record]()
        for subject in subjects:
            record = self.store.load(subject)
            checker.on_load(record, checker.world.records.get(subject))
            if record is not None:
                loaded[subject] = record
        await self.process.receive_response()
        return loaded

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Apply the chains of a tick, each of them whole or not at all."""
        checker = self.process.network.checker

        def work() -> list[bool]:
            applied: list[bool] = []
            for chain in chains:
                applied.append(self.store.commit_chain(self.process.name, chain))
                if not applied[-1]:
                    continue
                if chain.commits:
                    # All steps of a tick have the same system and time, and no effects.
                    checker.on_chain(chain, self.process.stepper.decision(), self.process.name)
                else:
                    checker.on_ack(chain.deliveries[0])
            return applied

        deliveries = [chain.deliveries[0] for chain in chains if chain.deliveries]
        return await self._settle(deliveries, work)

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

        return await self._settle([delivery], work)

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

        await self._settle([delivery], work)

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

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> Committed | Fenced:
        """Store a dead letter and settle its delivery."""
        assert delivery is not None
        process, checker = self.process, self.process.network.checker
        numbered = process.with_sequential_id(dead_letter)

        def work() -> Committed | Fenced:
            if not self.store.holds(process.name, delivery):
                return Fenced()
            event = delivery.message.event
            record = self.store.load(event.subject)
            is_served = process.services.is_served(process.system, event, record)
            checker.on_dead_letter(delivery, numbered, is_served=is_served)
            self.store.dead_letter(process.name, delivery, numbered)
            return Committed()

        return await self._settle([delivery], work)

    def _deliver(self, delivery: Delivery) -> bool:
        """Deliver what was claimed, with the faults that hit it; False if it does not arrive."""
        process, network = self.process, self.process.network
        faults, notes = network.plan.next("delivery"), self.store.entry(delivery).notes
        drops = [fault for fault in faults if isinstance(fault, Drop)]
        network.checker.on_deliver(delivery, process.name, notes, arrived=not drops)
        notes.clear()
        if not drops:
            process.on_receive(delivery, faults)
            return True
        network.checker.add_note(delivery, str(drops[0]))
        loop = asyncio.get_running_loop()
        loop.call_later(network.lease, self.store.release, process.name, delivery)
        return False

    async def _return(
        self, delivery: Delivery, delay: float, work: Callable[[str, Delivery, float], None]
    ) -> None:
        """Return a delivery; if the store is unreachable, once the process is connected again."""
        process = self.process

        def take_back(after: float) -> None:
            process.network.checker.limits.end(delivery)
            work(process.name, delivery, after)

        try:
            await process.send_request()
        except Unavailable:
            after = max(delay, process.reconnects_at - loop_time())
            asyncio.get_running_loop().call_later(after, take_back, 0.0)
            raise
        take_back(delay)
        process.network.checker.add_note(delivery, "will be redelivered")
        await process.receive_response()

    async def _settle(self, deliveries: Sequence[Delivery], work: Callable[[], T]) -> T:
        """Run an operation that settles *deliveries*, with the faults that hit it."""
        faults = self.process.on_settle(*deliveries)
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
