"""Run: one simulated run, from its first event until the system is idle."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from math import inf
from typing import Any, Final, cast, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.route import ToDomain, Unroutable, route
from arvo.engine.system.system import System
from arvo.interpreters.calls.listeners import LISTENER_SECONDS, Listeners
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE, Message
from arvo.interpreters.runtime.runtime import DEFAULT_RETRY
from arvo.interpreters.runtime.stats import Stats
from arvo.interpreters.runtime.worker import logger
from arvo.testing.simulation.checks.checker import Checker
from arvo.testing.simulation.checks.invariant import InvariantViolated
from arvo.testing.simulation.checks.world import World
from arvo.testing.simulation.cluster.entry import Entry
from arvo.testing.simulation.cluster.loop import VirtualLoop
from arvo.testing.simulation.cluster.network import Network
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.faults.fault import (
    ClockJump,
    Delay,
    Duplicate,
    Fault,
    OldVersion,
    Partition,
    Reorder,
)
from arvo.testing.simulation.faults.plan import LATENCY_SECONDS_MAX, FaultPlan, RunSize
from arvo.testing.simulation.setup import Setup

# Far more deliveries than a workflow needs. Two handlers that reply to each other without end reach
# the limit soon.
DELIVERIES_MIN: Final = 1_000
DELIVERIES_PER_EVENT: Final = 100


@final
@define(eq=False)
class Run:
    """One run, with its own event loop, store and workers.

    *start* is the time at which it starts.
    """

    setup: Setup
    start: datetime
    seed: int = 0
    faults: Sequence[Fault] = ()
    loop: VirtualLoop = field(factory=VirtualLoop, init=False)
    checker: Checker = field(init=False)
    network: Network = field(init=False)
    processes: list[Process] = field(factory=list, init=False)
    _plan: FaultPlan = field(init=False)
    _all_processes: list[Process] = field(factory=list, init=False)
    _sent_count: int = field(default=0, init=False)
    _random_state: Any = field(init=False)
    _stamps: Iterator[int] = field(factory=lambda: count(1), init=False)

    def __attrs_post_init__(self) -> None:
        setup = self.setup
        self._plan = FaultPlan(self.faults, self.seed)
        self._random_state = self._plan.random("shared").getstate()
        self.checker = Checker(setup.system, World(self.start), setup.checks, self.now)
        store = setup.store(self.now, self.loop.time, self.loop.call_later)
        self.network = Network(store, self._plan, self.checker, setup.effects, setup.lease)
        store.on_ready, store.on_enqueue = self.network.notify, self._apply_queue_faults
        self.processes = [self._start_worker(number, 0) for number in range(setup.workers)]
        for fault in self.faults:
            if isinstance(fault, Partition | ClockJump):
                self.loop.call_at(fault.at, self.inject, fault)
            elif isinstance(fault, OldVersion):
                self.loop.call_at(fault.at, self._deploy, fault)

    def now(self) -> datetime:
        """Return the true time in whole milliseconds, the precision of events."""
        return self.start + timedelta(milliseconds=int(self.loop.time() * 1000))

    def send(self, event: Event[Any], after: float = 0.0) -> None:
        """Send an event from outside, *after* seconds from now."""
        to = route(self.setup.system, event, None)
        if isinstance(to, Unroutable):
            issue = Issue("to", "the address of a handler", repr(event.to))
            raise Violated(ConfigViolation(f"no handler answers event {event.id!r}", issue))
        self._sent_count += 1
        client = self._plan.random(f"client {self._sent_count}")
        delay = after + client.random() * LATENCY_SECONDS_MAX
        self.loop.call_later(delay, self._accept, Message(event, to))

    def inject(self, fault: Partition | ClockJump) -> None:
        """Inject a fault of a worker now."""
        process = self.processes[fault.worker % len(self.processes)]
        self.checker.add_note(None, str(fault))
        if isinstance(fault, Partition):
            process.disconnect(fault.seconds)
        else:
            process.offset += timedelta(seconds=fault.seconds)

    def advance(self, seconds: float = inf) -> bool:
        """Run until the system is idle, and return True, or for some seconds."""
        until = min(self.loop.time() + seconds, self.setup.until)
        with self._isolated(), stamping(self._stamp):
            idle = self.loop.run(until, should_stop=self._is_over)
        if self.network.missing_effect is not None:
            issue = Issue("effects", f"a function for {self.network.missing_effect}", "none")
            raise Violated(ConfigViolation("no function replaces this effect", issue))
        return idle

    def finish(self) -> None:
        """Run until the system is idle, and check that all promises were kept."""
        try:
            idle = self.advance()
            self._check_workers()
            if self._is_endless():
                problem = f"the system is not idle after {len(self.checker.steps)} deliveries"
                self.checker.violations.append(InvariantViolated("idle", problem))
            elif not self.checker.violations:
                store = self.network.store
                records = {subject: store.load(subject) for subject in self.checker.world.records}
                self.checker.finish(records, store.dead_letters, idle=idle)
        finally:
            self.close()

    def size(self) -> RunSize:
        """Return the size of the run so far."""
        return self._plan.size(self.loop.time())

    def close(self) -> None:
        """Cancel all tasks and close the loop."""
        for process in self._all_processes:
            process.end()
        self.loop.run(self.loop.time())
        self.loop.close()

    def _is_over(self) -> bool:
        has_result = self.checker.violations or self.network.missing_effect is not None
        return bool(has_result or self._is_endless())

    def _is_endless(self) -> bool:
        limit = DELIVERIES_MIN + DELIVERIES_PER_EVENT * self._sent_count
        return len(self.checker.steps) >= limit

    def _check_workers(self) -> None:
        """Report workers that ended with an exception: a bug in Arvo or in a store."""
        for process in self._all_processes:
            for task in process.tasks:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    problem = f"{process.name} ended: {error!r}"
                    self.checker.violations.append(InvariantViolated("worker", problem))

    def _accept(self, message: Message) -> None:
        self.checker.on_send(message)
        self.network.store.enqueue(message)

    def _apply_queue_faults(self, entry: Entry) -> None:
        """Apply the faults that hit a message when it enters the queue."""
        store = self.network.store
        for fault in self._plan.next("message"):
            entry.notes.append(str(fault))
            match fault:
                case Delay(seconds=seconds):
                    entry.available_at = self.loop.time() + seconds
                    self.loop.call_later(seconds, store.notify_all)
                case Duplicate():
                    store.enqueue(entry.message)
                case Reorder():
                    store.overtake(entry)
                case _:
                    raise AssertionError(f"{fault} does not hit a message")

    def _start_worker(self, number: int, restarts: int) -> Process:
        """Start a process with one worker; a crashed one starts again under another name."""
        name = f"worker {number}" + (f", restart {restarts}" if restarts else "")

        def on_crash(_: Process, seconds: float) -> None:
            self.loop.call_later(seconds, restart)

        def restart() -> None:
            self.processes[number] = self._start_worker(number, restarts + 1)

        system = self._system_of(number)
        process = Process(name, system, self.network, self.now, on_crash=on_crash)
        self._all_processes.append(process)
        listeners = Listeners(concurrent_max=1)
        listeners.on_domain(None, LISTENER_SECONDS)(self._on_domain_event)
        worker = self.setup.worker(
            system=system,
            # A process has all the backend operations that a worker calls.
            backend=cast("Backend", process),
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
        process.listener_tasks = worker.bulkheads.tasks
        watch = worker.bulkheads.watch()
        process.tasks.append(self.loop.create_task(watch, name=f"{name} bulkheads"))
        queues = [*system.addresses] * self.setup.prefetch
        for queue in (*queues, OUTBOUND_QUEUE, REPLY_QUEUE):
            process.tasks.append(self.loop.create_task(worker.work(queue), name=f"{name} {queue}"))
        return process

    def _system_of(self, number: int) -> System:
        """Return the system that a worker runs if it starts now."""
        if self.setup.older is not None:
            for fault in self.faults:
                is_its = (
                    isinstance(fault, OldVersion) and fault.worker % self.setup.workers == number
                )
                if is_its and self.loop.time() < fault.at:
                    return self.setup.older
        return self.setup.system

    def _deploy(self, fault: OldVersion) -> None:
        """Replace a worker that runs the older system."""
        process = self.processes[fault.worker % len(self.processes)]
        if process.system is not self.setup.system and not process.is_dead:
            self.checker.add_note(None, str(fault))
            process.crash(0.0)

    def _on_answered(self, event: Event[Any]) -> bool:
        self.checker.world.replies.append(event)
        return True

    async def _on_domain_event(self, event: Event[Any]) -> None:
        """Pass an event to the listener of its domain, and send the events that it returns."""
        self.checker.world.domain_events.append(event)
        to = route(self.setup.system, event, event)
        assert isinstance(to, ToDomain)
        listeners = self.setup.domain_listeners
        listener = listeners.get(to.domain) or listeners.get(None)
        for answer in (listener(event) if listener is not None else None) or ():
            self.send(answer)

    def _stamp(self) -> Stamp:
        return Stamp(f"stamp-{next(self._stamps)}", self.now().isoformat(timespec="milliseconds"))

    @contextmanager
    def _isolated(self) -> Iterator[None]:
        """Seed the global random numbers from the run, and disable the worker's log."""
        before = random.getstate()
        random.setstate(self._random_state)
        # The log of thousands of injected faults would hide the one report that matters.
        disabled, logger.disabled = logger.disabled, True
        try:
            yield
        finally:
            logger.disabled = disabled
            self._random_state = random.getstate()
            random.setstate(before)
