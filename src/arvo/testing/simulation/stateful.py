"""Stateful: a simulation that Hypothesis steers, one move after the other."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from arvo.core.events.event import Event
from arvo.engine.system.system import System
from arvo.testing.simulation.actors import Actor, with_actors
from arvo.testing.simulation.faults import ClockJump, Partition
from arvo.testing.simulation.network import Effects
from arvo.testing.simulation.outcome import Simulation, SimulationFailed
from arvo.testing.simulation.process import Process
from arvo.testing.simulation.running import People, Run, Setup
from arvo.testing.simulation.world import Check

_MOMENTS = st.sampled_from([0.0, 0.005, 0.02, 0.1, 1.0, 10.0])
_SPANS = st.sampled_from([0.1, 1.0, 10.0])
_JUMPS = st.sampled_from([-3600.0, -1.0, 1.0, 3600.0])
# Of workers and events, whatever there are of them.
_NUMBERS = st.integers(0, 2**16)


class SimulationMachine(RuleBasedStateMachine):
    """A simulated system in which Hypothesis makes the moves: see `state_machine`.

    Rules of your own find the run in `self.run`.
    """

    setup: ClassVar[Setup]
    events: ClassVar[tuple[Event[Any], ...]]
    run: Run | None = None

    @initialize(seed=_NUMBERS)
    def begin(self, seed: int) -> None:
        """Begin with nothing but workers that wait."""
        start = min(datetime.fromisoformat(event.time) for event in self.events)
        self.run = Run(self.setup, start, seed)

    @rule(number=_NUMBERS)
    def send(self, number: int) -> None:
        """Let one of the events come, perhaps once more."""
        self._running.send(self.events[number % len(self.events)])

    @rule(seconds=_MOMENTS)
    def let_time_pass(self, seconds: float) -> None:
        """Go on for a while."""
        self._running.proceed(seconds)

    @rule(worker=_NUMBERS, seconds=_SPANS)
    def kill(self, worker: int, seconds: float) -> None:
        """Let a worker die; another one follows."""
        process = self._process(worker, "dies")
        if not process.dead:
            self._running.loop.call_soon(process.die, seconds)

    @rule(worker=_NUMBERS, seconds=_SPANS)
    def halt(self, worker: int, seconds: float) -> None:
        """Let a worker stand still, perhaps beyond its lease."""
        process = self._process(worker, f"stands still for {seconds} s")
        self._running.loop.call_soon(process.stand_still, seconds)

    @rule(worker=_NUMBERS, seconds=_SPANS)
    def cut_off(self, worker: int, seconds: float) -> None:
        """Let a worker lose the store."""
        self._running.loop.call_soon(self._running.hit, Partition(worker, 0.0, seconds))

    @rule(worker=_NUMBERS, seconds=_JUMPS)
    def move_clock(self, worker: int, seconds: float) -> None:
        """Let the clock of a worker jump."""
        self._running.loop.call_soon(self._running.hit, ClockJump(worker, 0.0, seconds))

    def teardown(self) -> None:
        """Come to rest, and see that all promises were kept."""
        if self.run is None:
            return
        # Here alone: raised in two places, one fault would be two to Hypothesis.
        self.run.finish()
        if self.run.watch.broken:
            raise SimulationFailed(_told(self.run))

    @property
    def _running(self) -> Run:
        assert self.run is not None
        return self.run

    def _process(self, worker: int, said: str) -> Process:
        process = self._running.processes[worker % self.setup.workers]
        self._running.watch.note(None, f"{process.name} {said}")
        return process


def state_machine(
    system: System,
    events: Sequence[Event[Any]],
    *,
    checks: Sequence[Check] = (),
    behaviours: Iterable[Actor] = (),
    effects: Effects | None = None,
    people: People | None = None,
    workers: int = 3,
    prefetch: int = 2,
    lease: float = 5.0,
    until: float = inf,
) -> type[SimulationMachine]:
    """Make a state machine of a simulated system, for Hypothesis to run and shrink.

    Its rules let one of *events* come, time pass, a worker die, stand still or lose the store, a
    clock jump; subclass it to add rules of your own. When the moves are made, everything comes to
    rest, and all is checked that `simulate` checks; the other arguments are as there. Use its
    `TestCase`, or `run_state_machine_as_test`.
    """
    setup = Setup(
        system=with_actors(system, behaviours),
        checks=tuple(checks),
        effects=effects or {},
        people=people or {},
        workers=workers,
        prefetch=prefetch,
        lease=lease,
        until=until,
    )
    named = {"setup": setup, "events": tuple(events)}
    return type("Simulated", (SimulationMachine,), named)


def _told(run: Run) -> Simulation:
    return Simulation(
        seed=run.seed,
        faults=(),
        events=(),
        kept=(),
        steps=tuple(run.watch.steps),
        world=run.watch.world,
        broken=tuple(run.watch.broken),
        workers=run.setup.workers,
    )
