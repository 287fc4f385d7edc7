"""Stateful: a simulation whose moves Hypothesis chooses."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf
from typing import Any, ClassVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from arvo.core.events.event import Event
from arvo.engine.limits import limited_addresses
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.testing.simulation.checks.invariant import Check
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.faults.fault import ClockJump, Partition
from arvo.testing.simulation.outcome import Simulation, SimulationFailed
from arvo.testing.simulation.run import Run
from arvo.testing.simulation.services import ServiceModel, with_services
from arvo.testing.simulation.setup import DomainListeners, Setup, StorageKind, require_events

_ADVANCES = st.sampled_from([0.0, 0.005, 0.02, 0.1, 1.0, 10.0])
_DURATIONS = st.sampled_from([0.1, 1.0, 10.0])
_JUMPS = st.sampled_from([-3600.0, -1.0, 1.0, 3600.0])
# Taken modulo the number of workers or events.
_NUMBERS = st.integers(0, 2**16)


class SimulationMachine(RuleBasedStateMachine):
    """A Hypothesis state machine that simulates a system: see `state_machine`.

    Rules of a subclass use the current run in `self.run`.
    """

    setup: ClassVar[Setup]
    storage: ClassVar[StorageKind | None] = None
    events: ClassVar[tuple[Event[Any], ...]]
    run: Run | None = None

    @initialize(seed=_NUMBERS)
    def start(self, seed: int) -> None:
        """Start the workers, without any event."""
        start = min(datetime.fromisoformat(event.time) for event in self.events)
        # A pair holds no limits.
        may_pair = seed % 2 and not limited_addresses(self.setup.system)
        storage = self.storage or ("pair" if may_pair else "store")
        self.run = Run(evolve(self.setup, storage=storage), start, seed)

    @rule(number=_NUMBERS)
    def send(self, number: int) -> None:
        """Send one of the events; the same event may be sent again."""
        self._current_run.send(self.events[number % len(self.events)])

    @rule(seconds=_ADVANCES)
    def advance_time(self, seconds: float) -> None:
        """Run for some virtual seconds."""
        self._current_run.advance(seconds)

    @rule(worker=_NUMBERS, seconds=_DURATIONS)
    def crash_worker(self, worker: int, seconds: float) -> None:
        """Crash a worker; it restarts after some seconds."""
        process = self._process(worker, "crashed")
        if not process.is_dead:
            self._current_run.loop.call_soon(process.crash, seconds)

    @rule(worker=_NUMBERS, seconds=_DURATIONS)
    def pause_worker(self, worker: int, seconds: float) -> None:
        """Pause a worker, for less or more than its lease."""
        process = self._process(worker, f"was paused for {seconds} s")
        self._current_run.loop.call_soon(process.pause, seconds)

    @rule(worker=_NUMBERS, seconds=_DURATIONS)
    def disconnect_worker(self, worker: int, seconds: float) -> None:
        """Disconnect a worker from the store."""
        fault = Partition(worker, 0.0, seconds)
        self._current_run.loop.call_soon(self._current_run.inject, fault)

    @rule(worker=_NUMBERS, seconds=_JUMPS)
    def move_clock(self, worker: int, seconds: float) -> None:
        """Let the clock of a worker jump."""
        fault = ClockJump(worker, 0.0, seconds)
        self._current_run.loop.call_soon(self._current_run.inject, fault)

    def teardown(self) -> None:
        """Run until the system is idle, and check that all promises were kept."""
        if self.run is None:
            return
        # Only here: Hypothesis would take the same bug raised in two places for two bugs.
        self.run.finish()
        if self.run.checker.violations:
            raise SimulationFailed(_make_simulation(self.run))

    @property
    def _current_run(self) -> Run:
        assert self.run is not None
        return self.run

    def _process(self, worker: int, note: str) -> Process:
        process = self._current_run.workers.process(worker)
        self._current_run.checker.add_note(None, f"{process.name} {note}")
        return process


def state_machine(
    system: System,
    events: Sequence[Event[Any]],
    *,
    checks: Sequence[Check] = (),
    behaviours: Iterable[ServiceModel] = (),
    effects: EffectTable | None = None,
    domain_listeners: DomainListeners | None = None,
    workers: int = 3,
    prefetch: int = 2,
    lease: float = 5.0,
    until: float = inf,
    storage: StorageKind | None = None,
) -> type[SimulationMachine]:
    """Make a state machine of a simulated system, for Hypothesis to run and to shrink.

    Its rules send one of *events*, let time pass, crash, pause or disconnect a worker, and move a
    clock; a subclass may add rules. After the last move the system runs until it is idle, and the
    machine checks the same promises as `simulate`. The other arguments are those of `simulate`. Use
    its `TestCase`, or `run_state_machine_as_test`.
    """
    setup = Setup(
        system=with_services(system, behaviours),
        checks=tuple(checks),
        effects=effects or {},
        domain_listeners=domain_listeners or {},
        workers=workers,
        prefetch=prefetch,
        lease=lease,
        until=until,
    )
    attributes = {"setup": setup, "events": require_events(events), "storage": storage}
    return type("Simulated", (SimulationMachine,), attributes)


def _make_simulation(run: Run) -> Simulation:
    return Simulation(
        seed=run.seed,
        faults=(),
        events=(),
        event_positions=(),
        steps=tuple(run.checker.steps),
        world=run.checker.world,
        violations=tuple(run.checker.violations),
        workers=run.setup.workers,
        storage=run.setup.storage,
    )
