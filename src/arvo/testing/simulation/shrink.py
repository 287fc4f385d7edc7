"""Shrink: find the shortest run that breaks the same promise."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, field, frozen

from arvo.testing.simulation.faults.fault import (
    ClockJump,
    Crash,
    EffectCrash,
    Fault,
    LostAnswer,
    LostRequest,
    OldVersion,
    Outage,
    OutboxCrash,
    Partition,
    Pause,
)
from arvo.testing.simulation.faults.message import (
    Delay,
    Drop,
    Duplicate,
    LateCancel,
    Poison,
    Reorder,
    SlowListener,
)
from arvo.testing.simulation.outcome import Simulation
from arvo.testing.simulation.setup import StorageKind

# Deliveries in all runs of a shrink: some seconds. Few runs become shorter with more.
DELIVERIES_MAX: Final = 6_000
# Seeds to try for the same faults and events: each gives another schedule.
SEEDS_TRIED: Final = 10


@final
@frozen
class RunPlan:
    """The inputs of a run: seed, faults, positions of events, number of workers, and storage."""

    seed: int
    faults: tuple[Fault, ...]
    event_positions: tuple[int, ...]
    workers: int
    storage: StorageKind


RunFunction: TypeAlias = Callable[[RunPlan], Simulation]


def shrink(run: RunFunction, failed: Simulation) -> Simulation:
    """Return the smallest run that breaks the same promise as *failed*.

    Fewest faults count first, then fewest events, workers and deliveries. The search is delta
    debugging: it makes one change at a time until none helps, or DELIVERIES_MAX is reached.
    """
    law = failed.violations[0].law
    if law == "idle":
        # A run that does not end is as long without its faults, and so is every attempt.
        return failed
    best, budget = failed, DELIVERIES_MAX
    selection = _EventSelection(run, law, _run_plan(failed))
    tried: set[RunPlan] = set()
    improved = True
    while improved:
        improved = False
        for plan in _smaller_plans(_run_plan(best), len(best.steps)):
            if plan in tried or not selection.is_relevant(plan):
                continue
            if budget <= 0:
                return best
            tried.add(plan)
            result = run(plan)
            budget -= len(result.steps)
            breaks_same_law = any(violation.law == law for violation in result.violations)
            if breaks_same_law and _size(result) < _size(best):
                best, improved = evolve(result, runs=failed.runs), True
                break
    return best


@final
@define(eq=False)
class _EventSelection:
    """Decides which events a run may leave out.

    An invariant may depend on all events ("each of the three orders is answered"). Without two of
    them it breaks for another reason than in the original run.
    """

    run: RunFunction
    law: str
    original: RunPlan
    _known: dict[tuple[int, ...], bool] = field(factory=dict, init=False)

    def is_relevant(self, plan: RunPlan) -> bool:
        """Return False if *plan* breaks the law without faults, and the original does not."""
        return not self._holds_without_faults(
            self.original.event_positions
        ) or self._holds_without_faults(plan.event_positions)

    def _holds_without_faults(self, positions: tuple[int, ...]) -> bool:
        """Return True if some schedule of these events without faults keeps the law."""
        if positions not in self._known:
            quiet = evolve(self.original, event_positions=positions, faults=())
            self._known[positions] = any(
                all(
                    violation.law != self.law
                    for violation in self.run(evolve(quiet, seed=seed)).violations
                )
                for seed in range(SEEDS_TRIED)
            )
        return self._known[positions]


def _run_plan(simulation: Simulation) -> RunPlan:
    return RunPlan(
        simulation.seed,
        simulation.faults,
        simulation.event_positions,
        simulation.workers,
        simulation.storage,
    )


def _size(simulation: Simulation) -> tuple[float, ...]:
    return (
        len(simulation.faults),
        len(simulation.event_positions),
        simulation.workers,
        len(simulation.steps),
        sum(fault.at for fault in simulation.faults),
        simulation.seed,
    )


def _smaller_plans(plan: RunPlan, steps: int) -> Iterator[RunPlan]:
    """Yield plans that may break the same law with less, the largest changes first."""
    faults, positions = plan.faults, plan.event_positions
    # A change moves everything after it in time, so the same race may need another schedule.
    seeds = tuple(dict.fromkeys((plan.seed, *range(SEEDS_TRIED))))
    shorter = [evolve(plan, faults=fewer) for fewer in _subsets(faults)]
    if len(faults) > 1:
        # A single fault of another kind may have the same effect as several faults.
        yield from (
            evolve(plan, faults=(single,))
            for single in _single_faults(steps, is_pair=plan.storage == "pair")
        )
    shorter += (evolve(plan, event_positions=fewer) for fewer in _subsets(positions) if fewer)
    # With fewer events, the point at which a fault must hit comes earlier.
    shorter += (
        evolve(plan, event_positions=fewer, faults=earlier)
        for fewer in _subsets(positions)
        if fewer
        for earlier in _earlier_faults(faults)
    )
    shorter += (evolve(plan, workers=workers) for workers in range(1, plan.workers))
    for seed in seeds:
        yield from (evolve(candidate, seed=seed) for candidate in shorter)
    yield from (evolve(plan, seed=seed) for seed in seeds)
    yield from (evolve(plan, faults=earlier) for earlier in _earlier_faults(faults))


def _single_faults(steps: int, *, is_pair: bool) -> Iterator[Fault]:
    for at in range(1, steps + 1):
        yield from (Crash(at, "before"), Crash(at, "after"), LostAnswer(at), Drop(at))
        yield from (EffectCrash(at, "before"), EffectCrash(at, "after"))
        yield from (Duplicate(at), Reorder(at), Delay(at, 60.0), Delay(at, 3600.0))
        yield from (Pause(at), LostRequest(at), LateCancel(at), Poison(at), SlowListener(at))
        yield from (OutboxCrash(at, "write"), OutboxCrash(at, "send")) if is_pair else ()


def _earlier_faults(faults: tuple[Fault, ...]) -> Iterator[tuple[Fault, ...]]:
    """Yield the faults with one of them hitting earlier."""
    for position, fault in enumerate(faults):
        if isinstance(fault, Partition | Outage | ClockJump | OldVersion):
            continue
        for at in range(1, fault.at):
            yield (*faults[:position], evolve(fault, at=at), *faults[position + 1 :])


def _subsets(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield *items* without all, without a half, and without a single item."""
    if not items:
        return
    half = len(items) // 2
    yield ()
    if half:
        yield items[:half]
        yield items[half:]
    if len(items) > 2:
        for position in range(len(items)):
            yield items[:position] + items[position + 1 :]
