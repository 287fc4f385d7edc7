"""Workers: the processes of a run, which restart after a crash, and their listeners."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, cast, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.engine.step.route import ToDomain, route
from arvo.engine.system.system import System
from arvo.interpreters.calls.listeners import LISTENER_SECONDS, Listeners
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.chains import CommitsChains
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE, Delivery
from arvo.interpreters.runtime.runtime import DEFAULT_RETRY
from arvo.interpreters.worker.single_tasks import SingleTasks
from arvo.interpreters.worker.stats import Stats
from arvo.interpreters.worker.tick_loop import TickLoop
from arvo.interpreters.worker.worker import Worker
from arvo.testing.simulation.checks.invariant import InvariantViolated
from arvo.testing.simulation.cluster.loop import wait_forever
from arvo.testing.simulation.cluster.network import Network
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.cluster.storage import Storage
from arvo.testing.simulation.faults.fault import Fault, OldVersion
from arvo.testing.simulation.faults.message import SlowListener
from arvo.testing.simulation.setup import Setup


@final
@define(eq=False)
class Workers:
    """One process for each worker, with the worker of a runtime in it.

    *send* sends an event that a listener returns.
    """

    setup: Setup
    network: Network
    storage: Storage
    faults: Sequence[Fault]
    now: Callable[[], datetime]
    send: Callable[[Event[Any]], None]
    processes: list[Process] = field(factory=list, init=False)
    # Those that have crashed, too.
    _all: list[Process] = field(factory=list, init=False)

    def start(self) -> None:
        """Start all workers."""
        self.processes = [self._start(number, 0) for number in range(self.setup.workers)]

    def process(self, number: int) -> Process:
        """Return the process that a worker has now; numbers beyond the last one start again."""
        return self.processes[number % len(self.processes)]

    def deploy(self, fault: OldVersion) -> None:
        """Replace a worker that runs the older system."""
        process = self.process(fault.worker)
        if process.system is not self.setup.system and not process.is_dead:
            self.network.checker.add_note(None, str(fault))
            process.crash(0.0)

    def release_all(self) -> None:
        """Make all deliveries in progress available again."""
        for process in self._all:
            process.lose_lease()

    def check(self) -> None:
        """Report workers that ended with an exception: a bug in Arvo or in a store."""
        for process in self._all:
            for task in process.tasks:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    self._report(process, error)

    def end(self) -> None:
        """Cancel all tasks."""
        for process in self._all:
            process.end()

    def _start(self, number: int, restarts: int) -> Process:
        """Start a process with one worker; a crashed one starts again under another name."""
        name = f"worker {number}" + (f", restart {restarts}" if restarts else "")

        def on_crash(_: Process, seconds: float) -> None:
            self.network.loop.call_later(seconds, restart)

        def restart() -> None:
            self.processes[number] = self._start(number, restarts + 1)

        system = self._system_of(number)
        process = Process(name, system, self.network, self.now, on_crash=on_crash)
        self._all.append(process)
        listeners = Listeners(concurrent_max=1)
        listeners.on_domain(None, LISTENER_SECONDS)(self._on_domain_event)
        for name in system.subscriptions:
            listeners.on_subscription(name, LISTENER_SECONDS)(self._on_outcome)
        worker = self.setup.worker(
            system=system,
            # It has all the backend operations that a worker calls.
            backend=cast("Backend", self.storage.connect(process)),
            retry=DEFAULT_RETRY,
            now=process.now,
            stats=Stats(),
            listeners=listeners,
            on_answered=self._on_answered,
            on_refused=lambda _event, _reason: None,
            on_duplicate=lambda _: None,
            perform=process.stepper.perform,
            step=process.stepper.step,
        )
        process.start(worker.bulkheads.watch(), "bulkheads")
        for queue in (OUTBOUND_QUEUE, *system.subscriptions):
            process.start(worker.work(queue), queue)
        queues = dict.fromkeys(system.addresses, self.setup.prefetch) | {REPLY_QUEUE: 1}
        if self.network.plan.takes_ticks(number):
            process.start(self._make_ticks(process, worker, queues).run(), "tick loop")
        else:
            for queue in (queue for queue, tasks in queues.items() for _ in range(tasks)):
                process.start(worker.work(queue), queue)
        return process

    def _make_ticks(
        self, process: Process, worker: Worker, prefetch: Mapping[str, int]
    ) -> TickLoop:
        async def process_alone(delivery: Delivery) -> None:
            # A tick that is cancelled starts tasks for its deliveries, but its process is dead.
            if process.is_dead:
                raise asyncio.CancelledError
            process.on_start(delivery)
            await worker.process(delivery)

        def on_failure(error: Exception) -> None:
            self._report(process, error)

        return TickLoop(
            worker=worker,
            backend=cast("CommitsChains", worker.backend),
            singles=SingleTasks(process_alone, prefetch, on_failure),
            # No request waits for a reply: all of them leave the system as deliveries.
            claim_reply=lambda _: False,
            on_reply=lambda _: None,
            on_unanswered=lambda _: None,
        )

    def _system_of(self, number: int) -> System:
        """Return the system that a worker runs if it starts now."""
        if self.setup.older is not None:
            for fault in self.faults:
                is_its = (
                    isinstance(fault, OldVersion) and fault.worker % self.setup.workers == number
                )
                if is_its and self.network.loop.time() < fault.at:
                    return self.setup.older
        return self.setup.system

    def _report(self, process: Process, error: BaseException) -> None:
        problem = f"{process.name} ended: {error!r}"
        self.network.checker.violations.append(InvariantViolated("worker", problem))

    def _on_answered(self, event: Event[Any]) -> bool:
        checker = self.network.checker
        checker.world.replies.append(checker.as_sent(event))
        return True

    async def _on_outcome(self, event: Event[Any]) -> None:
        """Hear the end of a workflow."""
        await self._be_slow()
        self.network.checker.world.outcomes.append(self.network.checker.as_sent(event))

    async def _be_slow(self) -> None:
        """Wait where a fault makes the next call of a listener slow."""
        for fault in self.network.plan.next("listener"):
            if isinstance(fault, SlowListener):
                self.network.checker.add_note(None, str(fault))
                await (asyncio.sleep(fault.seconds) if fault.seconds < inf else wait_forever())

    async def _on_domain_event(self, event: Event[Any]) -> None:
        """Pass an event to the listener of its domain, and send the events that it returns."""
        checker = self.network.checker
        await self._be_slow()
        checker.world.domain_events.append(checker.as_sent(event))
        to = route(self.setup.system, event, event)
        assert isinstance(to, ToDomain)
        listeners = self.setup.domain_listeners
        listener = listeners.get(to.domain) or listeners.get(None)
        for answer in (listener(event) if listener is not None else None) or ():
            self.send(answer)
