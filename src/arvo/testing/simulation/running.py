"""Running: one simulated run, from its first event until everything has come to rest."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from math import inf
from typing import Any, Final, TypeAlias, cast, final

from attrs import define, field, frozen

from arvo.core.events.event import Event
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.route import ToDomain, Unroutable, route
from arvo.engine.system.system import System
from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE, Backend, Message
from arvo.interpreters.runtime.runtime import PATIENCE
from arvo.interpreters.runtime.stats import Stats
from arvo.interpreters.runtime.worker import Worker, logger
from arvo.testing.simulation.checker import Watch
from arvo.testing.simulation.faults import ClockJump, Delay, Duplicate, Fault, Partition, Reorder
from arvo.testing.simulation.loop import VirtualLoop
from arvo.testing.simulation.network import Effects, Net
from arvo.testing.simulation.plan import LATENCY_SECONDS_MAX, Extent, Plan
from arvo.testing.simulation.process import Process
from arvo.testing.simulation.store import Entry, Store
from arvo.testing.simulation.trace import InvariantViolated
from arvo.testing.simulation.world import Check, World

# Far more than a workflow takes, and soon reached by two handlers that answer each other for ever:
# some to begin with, and more for each event from outside.
DELIVERIES_MIN: Final = 1_000
DELIVERIES_EACH: Final = 100

# What an event that left by a domain is answered with, by whoever sits there.
People: TypeAlias = Mapping[str | None, Callable[[Event[Any]], Iterable[Event[Any]] | None]]


@final
@frozen(kw_only=True)
class Setup:
    """What is simulated: see `simulate`, which says it in its own arguments."""

    system: System
    checks: tuple[Check, ...] = ()
    effects: Effects = field(factory=dict)
    people: People = field(factory=dict)
    workers: int = 3
    prefetch: int = 2
    lease: float = 5.0
    until: float = inf
    store: type[Store] = Store
    worker: type[Worker] = Worker


@final
@define(eq=False)
class Run:
    """One run under way; each run has a loop, a store and workers of its own.

    *start* is the time at its beginning.
    """

    setup: Setup
    start: datetime
    seed: int = 0
    faults: Sequence[Fault] = ()
    loop: VirtualLoop = field(factory=VirtualLoop, init=False)
    watch: Watch = field(init=False)
    net: Net = field(init=False)
    processes: list[Process] = field(factory=list, init=False)
    _plan: Plan = field(init=False)
    _all: list[Process] = field(factory=list, init=False)
    _clients: list[asyncio.Task[None]] = field(factory=list, init=False)
    _sent: int = field(default=0, init=False)
    _chance: Any = field(init=False)
    _stamps: Iterator[int] = field(factory=lambda: count(1), init=False)

    def __attrs_post_init__(self) -> None:
        setup = self.setup
        self._plan = Plan(self.faults, self.seed)
        self._chance = self._plan.chances("everybody").getstate()
        self.watch = Watch(setup.system, World(self.start), setup.checks, self.now)
        store = setup.store(self.now, self.loop.time, self.loop.call_later)
        self.net = Net(store, self._plan, self.watch, setup.effects, setup.lease)
        store.stirred, store.entered = self.net.stir, self._entered
        self.processes = [self._hired(number, 1) for number in range(setup.workers)]
        for fault in self.faults:
            if isinstance(fault, Partition | ClockJump):
                self.loop.call_at(fault.at, self.hit, fault)

    def now(self) -> datetime:
        """Tell the true time, in whole milliseconds, as it travels in events."""
        return self.start + timedelta(milliseconds=int(self.loop.time() * 1000))

    def send(self, event: Event[Any], after: float = 0.0) -> None:
        """Let an event come from outside, *after* seconds from now."""
        to = route(self.setup.system, event, None)
        if isinstance(to, Unroutable):
            issue = Issue("to", "the address of a handler", repr(event.to))
            raise Violated(ConfigViolation(f"nobody can take event {event.id!r}", issue))
        self._sent += 1
        wait = after + self._plan.chances(f"client {self._sent}").random() * LATENCY_SECONDS_MAX
        self.loop.call_later(wait, self._take, Message(event, to))

    def hit(self, fault: Partition | ClockJump) -> None:
        """Let a fault hit a worker now."""
        process = self.processes[fault.worker % len(self.processes)]
        self.watch.note(None, str(fault))
        if isinstance(fault, Partition):
            process.cut_off(fault.seconds)
        else:
            process.offset += timedelta(seconds=fault.seconds)

    def proceed(self, seconds: float = inf) -> bool:
        """Go on until everything has come to rest (True), or for some seconds."""
        until = min(self.loop.time() + seconds, self.setup.until)
        with self._alone(), stamping(self._stamp):
            rested = self.loop.proceed(until, enough=self._is_over)
        if self.net.lacks is not None:
            issue = Issue("effects", f"a function for {self.net.lacks}", "none")
            raise Violated(ConfigViolation("an effect is asked for that the table lacks", issue))
        return rested

    def finish(self) -> None:
        """Go on until everything has come to rest, and look whether all promises were kept."""
        try:
            rested = self.proceed()
            self._look_at_workers()
            if self._is_endless():
                said = f"nothing has come to rest after {len(self.watch.steps)} deliveries"
                self.watch.broken.append(InvariantViolated("rest", said))
            elif not self.watch.broken:
                store = self.net.store
                records = {each: store.load(each) for each in self.watch.world.records}
                self.watch.end(records, store.letters, rested=rested)
        finally:
            self.close()

    def extent(self) -> Extent:
        """Say how much has happened."""
        return self._plan.extent(self.loop.time())

    def close(self) -> None:
        """Let go of everything."""
        for process in self._all:
            process.dead = True
            for task in process.tasks:
                task.cancel()
        self.loop.proceed(self.loop.time())
        self.loop.close()

    def _is_over(self) -> bool:
        return bool(self.watch.broken or self.net.lacks is not None or self._is_endless())

    def _is_endless(self) -> bool:
        return len(self.watch.steps) >= DELIVERIES_MIN + DELIVERIES_EACH * self._sent

    def _look_at_workers(self) -> None:
        """A worker that ended by itself has met a bug: ours, or that of a store."""
        for process in self._all:
            for task in process.tasks:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    self.watch.broken.append(
                        InvariantViolated("worker", f"{process.name} ended: {error!r}")
                    )

    def _take(self, message: Message) -> None:
        self.watch.sent(message)
        self.net.store.put(message)

    def _entered(self, entry: Entry) -> None:
        """Let the faults of the network hit what comes into the queue."""
        store = self.net.store
        for fault in self._plan.next("post"):
            entry.notes.append(str(fault))
            match fault:
                case Delay(seconds=seconds):
                    entry.late, entry.due = True, self.loop.time() + seconds
                    self.loop.call_later(seconds, store.stir_all)
                case Duplicate():
                    store.put(entry.post)
                case Reorder():
                    store.overtake(entry)
                case _:
                    raise AssertionError(f"{fault} hits no post")

    def _hired(self, number: int, incarnation: int) -> Process:
        """Start a process with a worker of its own."""
        name = f"worker {number}" + (f", the {incarnation}. of it" if incarnation > 1 else "")

        def died(_: Process, seconds: float) -> None:
            self.loop.call_later(seconds, follow)

        def follow() -> None:
            self.processes[number] = self._hired(number, incarnation + 1)

        process = Process(name, self.net, self.now, died=died)
        self._all.append(process)
        worker = self.setup.worker(
            system=self.setup.system,
            # A worker calls no other operations of a backend than a process has.
            backend=cast("Backend", process),
            retry=PATIENCE,
            now=process.now,
            stats=Stats(),
            listeners={None: self._left},
            answered=self.watch.world.home.append,
            refused=lambda _event, _why: None,
            seen=lambda _: None,
            perform=process.perform,
        )
        queues = [*self.setup.system.addresses] * self.setup.prefetch
        for queue in (*queues, OUTBOUND_QUEUE, REPLY_QUEUE):
            process.tasks.append(self.loop.create_task(worker.work(queue), name=f"{name} {queue}"))
        return process

    def _left(self, event: Event[Any]) -> None:
        """Hand an event to the people of its domain, and send what they answer."""
        self.watch.world.outside.append(event)
        to = route(self.setup.system, event, event)
        assert isinstance(to, ToDomain)
        person = self.setup.people.get(to.domain) or self.setup.people.get(None)
        for answer in (person(event) if person is not None else None) or ():
            self.send(answer)

    def _stamp(self) -> Stamp:
        return Stamp(f"stamp-{next(self._stamps)}", self.now().isoformat(timespec="milliseconds"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While the run proceeds, take chance from the seed, and keep its warnings to itself."""
        before = random.getstate()
        random.setstate(self._chance)
        # Thousands of lines about what was planted would hide the one story that counts.
        disabled, logger.disabled = logger.disabled, True
        try:
            yield
        finally:
            logger.disabled = disabled
            self._chance = random.getstate()
            random.setstate(before)
