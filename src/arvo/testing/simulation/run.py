"""Run: one simulated run, from its first event until the system is idle."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from math import inf
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.events.event import Event
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.doors import record_subject
from arvo.engine.step.route import Unroutable, route
from arvo.interpreters.delivery.log import silenced
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.runtime.operations import make_cancellation
from arvo.testing.simulation.checks.checker import Checker
from arvo.testing.simulation.checks.invariant import InvariantViolated
from arvo.testing.simulation.checks.world import World
from arvo.testing.simulation.cluster.entry import Entry
from arvo.testing.simulation.cluster.loop import VirtualLoop
from arvo.testing.simulation.cluster.network import Network
from arvo.testing.simulation.cluster.storage import Storage
from arvo.testing.simulation.faults.fault import (
    ClockJump,
    Fault,
    OldVersion,
    Outage,
    Partition,
    Server,
)
from arvo.testing.simulation.faults.forgery import OUTSIDER, forge
from arvo.testing.simulation.faults.message import (
    Delay,
    Duplicate,
    Forge,
    Oversize,
    Poison,
    Reorder,
    ReuseId,
)
from arvo.testing.simulation.faults.plan import LATENCY_SECONDS_MAX, FaultPlan, RunSize
from arvo.testing.simulation.setup import Setup
from arvo.testing.simulation.workers import Workers

# Far more deliveries than a workflow needs. Two handlers that reply to each other without end reach
# the limit soon.
DELIVERIES_MIN: Final = 1_000
DELIVERIES_PER_EVENT: Final = 100
# While its broker is down, a process tries each delivery again, many times in a minute.
REPEATS_PER_DELIVERY: Final = 20


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
    storage: Storage = field(init=False)
    network: Network = field(init=False)
    workers: Workers = field(init=False)
    _plan: FaultPlan = field(init=False)
    _sent_count: int = field(default=0, init=False)
    _random_state: Any = field(init=False)
    _forged: Iterator[int] = field(factory=lambda: count(1), init=False)
    _stamps: Iterator[int] = field(factory=lambda: count(1), init=False)

    def __attrs_post_init__(self) -> None:
        setup = self.setup
        self._plan = FaultPlan(self.faults, self.seed)
        self._random_state = self._plan.random("shared").getstate()
        world, is_pair = World(self.start), setup.storage == "pair"
        self.checker = Checker(setup.system, world, setup.checks, self.now, is_pair)
        random_ = self._plan.random("broker")
        self.storage = setup.open(self.now, self.loop.time, self.loop.call_later, random_)
        queue = self.storage.queue
        self.network = Network(
            self.loop, queue, self._plan, self.checker, setup.effects, setup.lease
        )
        queue.on_ready, queue.on_enqueue = self.network.notify, self._on_enqueue
        self.network.on_client = self._on_client
        self.workers = Workers(setup, self.network, self.storage, self.faults, self.now, self.send)
        self.workers.start()
        for fault in self.faults:
            if isinstance(fault, Partition | Outage | ClockJump):
                self.loop.call_at(fault.at, self.inject, fault)
            elif isinstance(fault, OldVersion):
                self.loop.call_at(fault.at, self.workers.deploy, fault)

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

    def inject(self, fault: Partition | Outage | ClockJump) -> None:
        """Inject a fault of a worker or a server now."""
        self.checker.add_note(None, str(fault))
        if isinstance(fault, Outage):
            self._shut_down(fault)
            return
        process = self.workers.process(fault.worker)
        if isinstance(fault, Partition):
            process.disconnect(fault.seconds)
        else:
            process.offset += timedelta(seconds=fault.seconds)

    def advance(self, seconds: float = inf) -> bool:
        """Run until the system is idle, and return True, or for some seconds."""
        until = min(self.loop.time() + seconds, self.setup.until)
        # The log of thousands of injected faults would hide the one report that matters.
        with self._seeded(), silenced(), stamping(self._stamp):
            idle = self.loop.run(until, should_stop=self._is_over)
        if self.network.missing_effect is not None:
            issue = Issue("effects", f"a function for {self.network.missing_effect}", "none")
            raise Violated(ConfigViolation("no function replaces this effect", issue))
        return idle

    def finish(self) -> None:
        """Run until the system is idle, and check that all promises were kept."""
        try:
            idle = self.advance()
            self.workers.check()
            if self._is_endless():
                problem = f"the system is not idle after {len(self.checker.steps)} deliveries"
                self.checker.violations.append(InvariantViolated("idle", problem))
            elif not self.checker.violations:
                storage, subjects = self.storage, self.checker.world.records
                records = {subject: storage.record(subject) for subject in subjects}
                self.checker.finish(records, storage.dead_letters(), idle=idle)
                if idle and (difference := storage.list_problem()):
                    self.checker.violations.append(InvariantViolated("list", difference))
        finally:
            self.close()

    def size(self) -> RunSize:
        """Return the size of the run so far."""
        return self._plan.size(self.loop.time())

    def close(self) -> None:
        """Cancel all tasks and close the loop."""
        self.workers.end()
        self.loop.run(self.loop.time())
        self.loop.close()

    def _is_over(self) -> bool:
        has_result = self.checker.violations or self.network.missing_effect is not None
        return bool(has_result or self._is_endless())

    def _is_endless(self) -> bool:
        limit = DELIVERIES_MIN + DELIVERIES_PER_EVENT * self._sent_count
        report = self.checker.report
        return len(report.steps) >= limit or report.repeats >= REPEATS_PER_DELIVERY * limit

    def _accept(self, message: Message) -> None:
        self.checker.on_send(message)
        try:
            self.storage.send(message)
        except TooLarge:
            self.checker.losses.forget_refused(message)

    def _shut_down(self, fault: Outage) -> None:
        """Make a server unavailable. When it is back, it redelivers the messages in progress."""
        down_until = self.network.down_until
        until = self.loop.time() + fault.seconds
        down_until[fault.server] = max(until, down_until.get(fault.server, 0.0))
        keeps_queue: Server = "broker" if self.setup.storage == "pair" else "store"
        if fault.server == keeps_queue and fault.seconds > self.setup.lease:
            self.loop.call_at(until, self.workers.release_all)

    def _on_enqueue(self, entry: Entry) -> None:
        """Record a message that enters the queue, and apply the faults that hit it."""
        queue, message = self.network.queue, self.storage.message(entry)
        for fault in self._plan.next("message"):
            entry.notes.append(str(fault))
            match fault:
                case Delay(seconds=seconds):
                    queue.delay(entry, seconds)
                case Duplicate():
                    queue.enqueue(entry.message)
                case Reorder():
                    queue.overtake(entry)
                case Poison():
                    self.network.poisons[message.event.source, message.event.id] = fault
                case Oversize() if self.storage.refuse(entry):
                    self.checker.on_refuse(message)
                    return
                case Oversize():
                    pass
                case _:
                    raise AssertionError(f"{fault} does not hit a message")
        if self.setup.storage == "pair":
            self.checker.on_publish(message)

    def _on_client(self, fault: Fault, delivery: Delivery) -> None:
        match fault:
            case Forge():
                self._forge(fault, delivery)
            case ReuseId():
                self._reuse_id(fault, delivery)
            case _:
                self._cancel(fault, delivery)

    def _forge(self, fault: Forge, delivery: Delivery) -> None:
        """Send a forged event to a workflow, that of a delivery if it has one."""
        records, system = self.checker.world.records, self.setup.system
        active = [record for record in records.values() if record.status == "active"]
        active.sort(key=lambda record: record.subject == delivery.message.event.subject)
        sent, id_ = self.checker.world.sent, f"forged-{next(self._forged)}"
        event = forge(fault.forgery, system, active[-1], sent, id_) if active else None
        if event is None:
            return
        subject = record_subject(system, event)
        record = None if subject is None else self.storage.record(subject)
        self.checker.add_note(delivery, str(fault))
        if self.setup.door(system, event, record) is None:
            self.checker.forgeries.add(event)
            self.send(event)

    def _reuse_id(self, fault: ReuseId, delivery: Delivery) -> None:
        """Send the last event from outside that was consumed, with another content."""
        for event in self.checker.consumed_outside[-1:]:
            other = evolve(event, redirectto=OUTSIDER)
            self.checker.add_note(delivery, str(fault))
            self.checker.losses.add_reused(other)
            self.send(other)

    def _cancel(self, fault: Fault, delivery: Delivery) -> None:
        """Send the cancellation of the workflow that a delivery belongs to, if there is one."""
        self.checker.add_note(delivery, str(fault))
        subject = delivery.message.event.subject
        try:
            self.send(make_cancellation(self.setup.system, subject, str(fault)))
        except Violated:
            return  # an event from outside to a handler that is no workflow

    def _stamp(self) -> Stamp:
        return Stamp(f"stamp-{next(self._stamps)}", self.now().isoformat(timespec="milliseconds"))

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Seed the global random numbers from the run."""
        before = random.getstate()
        random.setstate(self._random_state)
        try:
            yield
        finally:
            self._random_state = random.getstate()
            random.setstate(before)
