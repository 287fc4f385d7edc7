"""Process: a simulated worker process, and its connection to the store."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import inf
from random import Random
from typing import Any, TypeVar, final

from attrs import define, evolve, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.system.system import System
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import CheckpointResult, CommitResult, Committed
from arvo.testing.simulation.cluster.loop import loop_time, wait_forever
from arvo.testing.simulation.cluster.network import Network
from arvo.testing.simulation.cluster.services import ProcessServices
from arvo.testing.simulation.cluster.stepper import Stepper
from arvo.testing.simulation.faults.fault import (
    Crash,
    Drop,
    EffectCrash,
    Fault,
    LostAnswer,
    LostRequest,
    Pause,
    When,
)
from arvo.testing.simulation.faults.plan import LATENCY_SECONDS_MAX

T = TypeVar("T")


@final
@define(eq=False)
class Process:
    """A process that may crash, be paused, be disconnected from the store, and have a wrong clock.

    *system*: the version of the system that it runs. It has the backend operations that a worker
    calls. Each takes some time to reach the store, acts there atomically, and takes some time to
    return the result.
    """

    name: str
    system: System
    network: Network
    true_now: Callable[[], datetime]
    offset: timedelta = timedelta(0)
    on_crash: Callable[["Process", float], None] = field(default=lambda _process, _seconds: None)
    tasks: list[asyncio.Task[None]] = field(factory=list, init=False)
    # The tasks that call listeners; they come and go.
    listener_tasks: set[asyncio.Task[None]] = field(factory=set, init=False)
    is_dead: bool = field(default=False, init=False)
    services: ProcessServices = field(init=False)
    stepper: Stepper = field(init=False)
    _random: Random = field(init=False)
    _paused_until: float = field(default=0.0, init=False)
    _disconnected_until: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._random = self.network.plan.random(self.name)
        self.services = ProcessServices(self.network.registry, self.name, self._send_request)
        self.stepper = Stepper(self.network, self._latency)

    def now(self) -> datetime:
        """Return the time by this process's clock."""
        return self.true_now() + self.offset

    def pause(self, seconds: float) -> None:
        """Do nothing for *seconds*; after the lease, other workers get the deliveries."""
        self._paused_until = max(self._paused_until, loop_time() + seconds)
        self._end_lease_after(seconds)

    def disconnect(self, seconds: float) -> None:
        """Make the store unreachable for *seconds*."""
        self._disconnected_until = max(self._disconnected_until, loop_time() + seconds)
        self._end_lease_after(seconds)

    def crash(self, seconds: float) -> None:
        """End at once without releasing deliveries; another process follows after *seconds*."""
        self.end()
        self._end_lease_after(inf)
        self.on_crash(self, seconds)

    def end(self) -> None:
        """Cancel all tasks."""
        self.is_dead = True
        for task in (*self.tasks, *self.listener_tasks):
            task.cancel()

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue."""
        store, checker = self.network.store, self.network.checker
        while True:
            await self._send_request()
            delivery = store.claim(queue, self.name)
            if delivery is None:
                await self.network.wait(queue)
                continue
            faults = self.network.plan.next("delivery")
            drops = [fault for fault in faults if isinstance(fault, Drop)]
            notes = store.entry(delivery).notes
            checker.on_deliver(delivery, self.name, notes, arrived=not drops)
            notes.clear()
            if not drops:
                self.services.forget()
                return delivery
            checker.add_note(delivery, str(drops[0]))
            loop = asyncio.get_running_loop()
            loop.call_later(self.network.lease, store.release, self.name, delivery)

    async def load(self, subject: str) -> Record | None:
        """Return the record of a workflow."""
        await self._send_request()
        record = self.network.store.load(subject)
        self.network.checker.on_load(subject, record)
        await self._receive_response()
        return record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, or return why it was refused."""
        numbered = [self._with_sequential_id(dead_letter) for dead_letter in dead_letters]
        decision = self.stepper.decision()
        store, checker = self.network.store, self.network.checker

        def work() -> CommitResult:
            result = store.commit(self.name, delivery, commit, messages, numbered)
            checker.on_commit(delivery, commit, messages, numbered, result, decision)
            return result

        return await self._settle(delivery, work)

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Return the oldest cancellation that a delivery has to yield to."""
        await self._send_request()
        cancellation = self.network.store.pending_cancellation(delivery)
        await self._receive_response()
        return cancellation

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects, with the faults that hit it."""
        faults, add_note = self.network.plan.next("effect"), self.network.checker.add_note
        for fault in faults:
            add_note(delivery, str(fault))
        await self._send_request()
        await self._crash_by(faults, "before")
        result = self.network.store.checkpoint(self.name, delivery, progress)
        if isinstance(result, Committed):
            delivery.progress.data = progress
            self.network.checker.checkpoints.add(delivery, progress)
        await self._crash_by(faults, "after")
        await self._receive_response()
        return result

    async def _crash_by(self, faults: Sequence[Fault], when: When) -> None:
        for fault in faults:
            if isinstance(fault, EffectCrash | Crash) and fault.when == when:
                self.crash(fault.seconds)
                await wait_forever()

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery that needs no commit."""

        def work() -> None:
            if self.network.store.holds(self.name, delivery):
                self.network.checker.on_ack(delivery)
            self.network.store.ack(self.name, delivery)

        await self._settle(delivery, work)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds."""
        await self._return(delivery, delay, self.network.store.nack)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; those of its key pass it meanwhile."""
        self.network.checker.on_defer(delivery)
        await self._return(delivery, delay, self.network.store.defer)

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Redeliver a message to any process after *delay* seconds, as the same attempt."""
        self.network.checker.add_note(delivery, "is left to other workers")
        await self._return(delivery, delay, self.network.store.put_back)

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Store a dead letter and settle its delivery."""
        assert delivery is not None
        numbered = self._with_sequential_id(dead_letter)

        def work() -> None:
            store, event = self.network.store, delivery.message.event
            if store.holds(self.name, delivery):
                record = store.load(event.subject)
                is_served = self.services.is_served(self.system, event, record)
                self.network.checker.on_dead_letter(delivery, numbered, is_served=is_served)
            self.network.store.dead_letter(self.name, delivery, numbered)

        await self._settle(delivery, work)

    async def _return(
        self, delivery: Delivery, delay: float, work: Callable[[str, Delivery, float], None]
    ) -> None:
        """Return a delivery; if the store is unreachable, once the process is connected again."""
        try:
            await self._send_request()
        except Unavailable:
            after = max(delay, self._disconnected_until - loop_time())
            asyncio.get_running_loop().call_later(after, work, self.name, delivery, 0.0)
            raise
        work(self.name, delivery, delay)
        self.network.checker.add_note(delivery, "will be redelivered")
        await self._receive_response()

    async def _settle(self, delivery: Delivery, work: Callable[[], T]) -> T:
        """Run an operation that settles a delivery, with the faults that hit it."""
        faults, add_note = self.network.plan.next("commit"), self.network.checker.add_note
        for fault in faults:
            add_note(delivery, str(fault))
            if isinstance(fault, Pause):
                self.pause(fault.seconds)
        await self._send_request()
        await self._crash_by(faults, "before")
        if any(isinstance(fault, LostRequest) for fault in faults):
            raise Unavailable("the request was lost")
        result = work()
        await self._crash_by(faults, "after")
        if any(isinstance(fault, LostAnswer) for fault in faults):
            raise Unavailable("the answer was lost")
        await self._receive_response()
        return result

    async def _send_request(self) -> None:
        """Wait until a request reaches the store; raises `Unavailable` if it cannot."""
        await asyncio.sleep(self._latency())
        await self._check_connection()

    async def _receive_response(self) -> None:
        """Wait until a response arrives; raises `Unavailable` if it cannot."""
        await asyncio.sleep(self._latency())
        await self._check_connection()

    async def _check_connection(self) -> None:
        if self._paused_until > loop_time():
            await asyncio.sleep(self._paused_until - loop_time())
            # The process may have been paused again meanwhile.
            await self._check_connection()
            return
        if self.is_dead:
            await wait_forever()
        if self._disconnected_until > loop_time():
            raise Unavailable("the store cannot be reached")

    def _latency(self) -> float:
        return self._random.random() * LATENCY_SECONDS_MAX

    def _end_lease_after(self, seconds: float) -> None:
        """Renew no lease for *seconds*: if it expires, the deliveries go to other processes."""
        self.network.registry.silence(self.name, loop_time(), loop_time() + seconds)
        if seconds > self.network.lease:
            loop = asyncio.get_running_loop()
            loop.call_later(self.network.lease, self.network.store.release, self.name)

    def _with_sequential_id(self, dead_letter: DeadLetter) -> DeadLetter:
        # A worker gives dead letters random ids, and the same seed must give the same run.
        self.network.dead_letter_count += 1
        return evolve(dead_letter, id=f"dead-letter-{self.network.dead_letter_count}")
