"""Simulate: a whole system with many workers, in one process, with whatever may go wrong."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.events.event import Event
from arvo.engine.system.system import System
from arvo.interpreters.runtime.worker import Worker
from arvo.testing.simulation.actors import Actor, with_actors
from arvo.testing.simulation.faults import FAULT_KINDS, Fault
from arvo.testing.simulation.network import Effects
from arvo.testing.simulation.outcome import Simulation, SimulationFailed
from arvo.testing.simulation.plan import Extent, drawn
from arvo.testing.simulation.running import People, Run, Setup
from arvo.testing.simulation.shrink import Choice, shrink
from arvo.testing.simulation.store import Store
from arvo.testing.simulation.trace import InvariantViolated
from arvo.testing.simulation.world import Check

# What finds all that was planted in the kit's own tests, several times over; some seconds.
RUNS: Final = 200


def simulate(
    system: System,
    events: Iterable[Event[Any]],
    *,
    checks: Sequence[Check] = (),
    behaviours: Iterable[Actor] = (),
    effects: Effects | None = None,
    domain_listeners: People | None = None,
    faults: Sequence[Fault] | None = None,
    kinds: Sequence[type[Fault]] = FAULT_KINDS,
    seed: int = 0,
    runs: int | None = None,
    workers: int = 3,
    prefetch: int = 2,
    lease: float = 5.0,
    until: float = inf,
    store: type[Store] = Store,
    worker: type[Worker] = Worker,
) -> Simulation:
    """Run a system on simulated workers, store, queue and clock, and see that all promises hold.

    The workers run the code that a `Runtime` runs. *events* come from outside, each as long after
    the first as its `time` says. What a handler asks for by `call` is looked up in *effects*,
    services that the system lacks are played by *behaviours* (handlers, or each a `Behaviour` of a
    service), and events that leave by a domain are answered by *people*: functions, by domain, that
    return the events to send back.

    *faults* hit the run; where they are None, each run draws some of *kinds* from its seed. *runs*
    are made with the seeds *seed*, *seed* + 1 and so on, by default 200, or one where *faults* are
    given; the same seed gives the same run, on any machine. *workers* processes take up to
    *prefetch* deliveries of each handler at a time; one that is not heard of for *lease* seconds is
    taken for dead. A run ends when all is at rest, or after *until* seconds of its time. *store*
    and *worker*: a wrong one should be found out.

    After each change the delivery promises I1 to I9 are checked, and *checks* (`always`,
    `eventually`, `sometimes`). Raises `SimulationFailed` for the first run that breaks one, shrunk
    to its shortest, drawn, with the line that gives it again. Else gives the last run.
    """
    setup = Setup(
        system=with_actors(system, behaviours),
        checks=tuple(checks),
        effects=effects or {},
        people=domain_listeners or {},
        workers=workers,
        prefetch=prefetch,
        lease=lease,
        until=until,
        store=store,
        worker=worker,
    )
    search = _Search(setup, tuple(events), None if faults is None else tuple(faults), tuple(kinds))
    wanted = runs or (1 if faults is not None else RUNS)
    return search.through(range(seed, seed + wanted))


@final
@define(eq=False)
class _Search:
    """Runs of one setup with many seeds."""

    setup: Setup
    events: tuple[Event[Any], ...]
    faults: tuple[Fault, ...] | None
    kinds: tuple[type[Fault], ...]
    _found: set[int] = field(factory=set, init=False)
    _extent: Extent | None = field(default=None, init=False)

    def through(self, seeds: Sequence[int]) -> Simulation:
        """Make a run for each seed; raise for the first that breaks a promise."""
        everything = tuple(range(len(self.events)))
        for number, seed in enumerate(seeds, start=1):
            choice = Choice(seed, self._faults(seed), everything, self.setup.workers)
            simulation = evolve(self.play(choice), runs=number)
            if simulation.broken:
                raise SimulationFailed(shrink(self.play, simulation))
        never = [
            InvariantViolated(check.name, f"holds at no moment of {len(seeds)} runs")
            for number, check in enumerate(self.setup.checks)
            if check.when == "sometimes" and number not in self._found
        ]
        if never:
            raise SimulationFailed(evolve(simulation, broken=tuple(never)))
        return simulation

    def play(self, choice: Choice) -> Simulation:
        """Make one run."""
        return self._played(choice)[0]

    def _played(self, choice: Choice) -> tuple[Simulation, Extent]:
        setup = evolve(self.setup, workers=choice.workers)
        events = tuple(self.events[position] for position in choice.kept)
        start = datetime.fromisoformat(min((each.time for each in events), key=_time))
        run = Run(setup, start, choice.seed, choice.faults)
        for event in events:
            run.send(event, (_time(event.time) - start).total_seconds())
        run.finish()
        self._found |= run.watch.found
        simulation = Simulation(
            seed=choice.seed,
            faults=choice.faults,
            events=events,
            kept=choice.kept,
            steps=tuple(run.watch.steps),
            world=run.watch.world,
            broken=tuple(run.watch.broken),
            workers=choice.workers,
        )
        return simulation, run.extent()

    def _faults(self, seed: int) -> tuple[Fault, ...]:
        """Draw the faults of a seed, to hit somewhere within what a quiet run does."""
        if self.faults is not None:
            return self.faults
        if self._extent is None:
            quiet = Choice(0, (), tuple(range(len(self.events))), self.setup.workers)
            _, self._extent = self._played(quiet)
        workers, lease = self.setup.workers, self.setup.lease
        return drawn(seed, self._extent, workers=workers, lease=lease, kinds=self.kinds)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
