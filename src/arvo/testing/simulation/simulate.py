"""Simulate: search many simulated runs of a system for one that breaks a promise."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import count
from math import inf
from random import Random
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.events.event import Event
from arvo.engine.limits import limited_addresses
from arvo.engine.step.doors import check_outside
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.interpreters.worker.worker import Worker
from arvo.testing.laws.report import NotChecked
from arvo.testing.simulation.checks.invariant import Check, InvariantViolated
from arvo.testing.simulation.cluster.store import Store
from arvo.testing.simulation.faults.draw import draw_faults
from arvo.testing.simulation.faults.fault import FAULT_KINDS, Fault, OldVersion
from arvo.testing.simulation.faults.forgery import Door
from arvo.testing.simulation.faults.plan import FaultPlan, RunSize, Ticks
from arvo.testing.simulation.outcome import Simulation, SimulationFailed
from arvo.testing.simulation.pair.model import PairModel
from arvo.testing.simulation.run import Run
from arvo.testing.simulation.services import ServiceModel, with_services
from arvo.testing.simulation.setup import DomainListeners, Setup, StorageKind, require_events
from arvo.testing.simulation.shrink import RunPlan, shrink

# Enough to find every bug planted in the kit's own tests several times; takes some seconds.
RUNS: Final = 200


def simulate(
    system: System,
    events: Iterable[Event[Any]],
    *,
    older: System | None = None,
    checks: Sequence[Check] = (),
    behaviours: Iterable[ServiceModel] = (),
    effects: EffectTable | None = None,
    domain_listeners: DomainListeners | None = None,
    faults: Sequence[Fault] | None = None,
    kinds: Sequence[type[Fault]] = FAULT_KINDS,
    seed: int = 0,
    runs: int | None = None,
    workers: int = 3,
    prefetch: int = 2,
    lease: float = 5.0,
    until: float = inf,
    storage: StorageKind | PairModel | None = None,
    store: type[Store] | None = None,
    worker: type[Worker] = Worker,
    door: Door = check_outside,
) -> Simulation:
    """Run a system with simulated workers, servers and clocks, and check all promises.

    The workers run the same code as in a `Runtime`. After each change the simulation checks the
    delivery promises I1 to I9 and I12, that no turn is committed past a cancellation (`stop`), that
    each run of a workflow id begins once, and only where its policy allows it (`begin`), that no
    limit of a handler is exceeded (`limit`), and
    *checks* (`always`, `eventually`, `sometimes`). It returns the last run. It raises
    `SimulationFailed` for the first run that breaks a promise, with the shortest such run, its
    diagram, and the line of Python that repeats it. It raises `NotChecked` if no run handles an
    event, or if no run is idle at its end, so that `eventually` is not checked.

    *events* come from outside; their `time` attributes decide how long after the first each comes.
    *older* is the version of the system that was deployed before; with it `OldVersion` is a fault,
    too: some workers run the older version for a while.
    *effects* maps the functions that handlers pass to `call` to functions that run instead.
    *behaviours* are services that the system lacks: handlers, or a `Behaviour` for each.
    *domain_listeners* maps domains to functions that receive the events that leave by this domain
    and return the events to send back.

    *faults* are the faults of each run. Without them each run draws faults of *kinds* from its
    seed. *runs* is the number of runs, with the seeds *seed*, *seed* + 1 and so on; by default 200,
    or one if *faults* are given. The same seed gives the same run on every machine.

    *workers* is the number of processes. Each handles up to *prefetch* deliveries of a handler at a
    time. After *lease* seconds the deliveries of a silent process are reassigned. A run ends when
    the system is idle, or after *until* seconds of virtual time.

    *storage* is `"store"`, a store with transactions, or `"pair"`, the code of a pair on a record
    store and a broker; by default each run draws one of them from its seed. Pass a wrong *store*,
    *worker* or *door* (the check of events from outside), or a `PairModel` with a wrong part as
    *storage*, to see which promises it breaks.
    """
    services = tuple(behaviours)
    kinds = kinds if older is None or kinds is not FAULT_KINDS else (*kinds, OldVersion)
    setup = Setup(
        system=with_services(system, services),
        older=None if older is None else with_services(older, services),
        checks=tuple(checks),
        effects=effects or {},
        domain_listeners=domain_listeners or {},
        workers=workers,
        prefetch=prefetch,
        lease=lease,
        until=until,
        store=store or Store,
        pair=storage if isinstance(storage, PairModel) else PairModel(),
        worker=worker,
        door=door,
    )
    search = _Search(
        setup,
        require_events(events),
        None if faults is None else tuple(faults),
        tuple(kinds),
        _choose_storages(setup, storage, store),
    )
    number = (1 if faults is not None else RUNS) if runs is None else runs
    if number < 1:
        raise TypeError(f"runs: expected at least 1, got {number}")
    return search.run_all(range(seed, seed + number))


@final
@define(eq=False)
class _Search:
    """Runs one setup with many seeds."""

    setup: Setup
    events: tuple[Event[Any], ...]
    faults: tuple[Fault, ...] | None
    kinds: tuple[type[Fault], ...]
    storages: tuple[StorageKind, ...]
    _observed: set[int] = field(factory=set, init=False)
    # By storage, and by the workers that take ticks, as fewer events become messages then.
    _sizes: dict[tuple[StorageKind, Ticks | None], RunSize] = field(factory=dict, init=False)
    _commits: int = field(default=0, init=False)
    _idle_runs: int = field(default=0, init=False)

    def run_all(self, seeds: Sequence[int]) -> Simulation:
        """Run each seed, and return the last run; raises for the first that breaks a promise."""
        everything = tuple(range(len(self.events)))
        for number, seed in enumerate(seeds, start=1):
            storage = self._choose_storage(seed)
            faults = self._choose_faults(seed, storage)
            plan = RunPlan(seed, faults, everything, self.setup.workers, storage)
            simulation = evolve(self.run(plan), runs=number)
            if simulation.violations:
                raise SimulationFailed(shrink(self.run, simulation))
        never = [
            InvariantViolated(check.name, f"never holds in {len(seeds)} runs")
            for number, check in enumerate(self.setup.checks)
            if check.when == "sometimes" and number not in self._observed
        ]
        if never:
            raise SimulationFailed(evolve(simulation, violations=tuple(never)))
        self._require_cases(simulation)
        return simulation

    def _require_cases(self, last: Simulation) -> None:
        """Raise `NotChecked` if the runs did nothing that could break a promise or a check."""
        subject, until = f"the simulation of {last.runs} runs", self.setup.until
        if not self._commits:
            ends = f"{len(last.steps)} deliveries and {len(last.world.dead_letters)} dead letters"
            problem = f"no event was handled; the last run has {ends}"
            remedy = f"send events that a handler accepts, and raise until={until} if it is lower"
            raise NotChecked(subject, problem, (), remedy)
        names = [check.name for check in self.setup.checks if check.when == "eventually"]
        if names and not self._idle_runs:
            problem = f"no run is idle after until={until} s, so `eventually` was not checked"
            raise NotChecked(subject, problem, names, "raise *until*, or use always or sometimes")

    def run(self, plan: RunPlan) -> Simulation:
        """Return the result of one run."""
        return self._run(plan)[0]

    def _run(self, plan: RunPlan) -> tuple[Simulation, RunSize]:
        setup = evolve(self.setup, workers=plan.workers, storage=plan.storage)
        events = tuple(self.events[position] for position in plan.event_positions)
        start = min(_time(event) for event in events)
        run = Run(setup, start, plan.seed, plan.faults)
        for event in events:
            run.send(event, (_time(event) - start).total_seconds())
        run.finish()
        self._observed |= run.checker.watch.observed
        self._commits += run.checker.commits
        self._idle_runs += run.checker.world.is_idle
        simulation = Simulation(
            seed=plan.seed,
            faults=plan.faults,
            events=events,
            event_positions=plan.event_positions,
            steps=tuple(run.checker.steps),
            world=run.checker.world,
            violations=tuple(run.checker.violations),
            workers=plan.workers,
            storage=plan.storage,
        )
        return simulation, run.size()

    def _choose_storage(self, seed: int) -> StorageKind:
        random = Random(f"{seed} storage")  # noqa: S311 - a simulation must be reproducible
        return random.choice(self.storages)

    def _choose_faults(self, seed: int, storage: StorageKind) -> tuple[Fault, ...]:
        """Return the faults of a run; drawn faults hit within the size of a run without faults."""
        if self.faults is not None:
            return self.faults
        ticks = FaultPlan((), seed).ticks
        if (storage, ticks) not in self._sizes:
            everything = tuple(range(len(self.events)))
            # The first such run, so that a seed has the same faults whichever seeds come before.
            quiet_seed = next(it for it in count() if FaultPlan((), it).ticks == ticks)
            quiet = RunPlan(quiet_seed, (), everything, self.setup.workers, storage)
            _, self._sizes[storage, ticks] = self._run(quiet)
        return draw_faults(
            seed,
            self._sizes[storage, ticks],
            workers=self.setup.workers,
            lease=self.setup.lease,
            kinds=self.kinds,
            is_pair=storage == "pair",
        )


def _choose_storages(
    setup: Setup, storage: StorageKind | PairModel | None, store: type[Store] | None
) -> tuple[StorageKind, ...]:
    """Return the kinds of storage that runs draw from."""
    if isinstance(storage, PairModel):
        return ("pair",)
    if storage is None:
        # A pair holds no limits.
        systems = [setup.system, *([] if setup.older is None else [setup.older])]
        is_whole = store is not None or any(map(limited_addresses, systems))
        return ("store",) if is_whole else ("store", "pair")
    return (storage,)


def _time(event: Event[Any]) -> datetime:
    return datetime.fromisoformat(event.time)
