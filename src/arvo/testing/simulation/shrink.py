"""Shrink: the shortest run that still breaks the same promise."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, field, frozen

from arvo.testing.simulation.faults import (
    ClockJump,
    Crash,
    Delay,
    Drop,
    Duplicate,
    Fault,
    LostAnswer,
    Partition,
    Pause,
    Reorder,
)
from arvo.testing.simulation.outcome import Simulation

# Deliveries that shrinking may take in all: some seconds, and few stories gain from more.
DELIVERIES_MAX: Final = 20_000
# Schedules that are tried for the story that they make of the same faults and events.
SEEDS_TRIED: Final = 10


@final
@frozen
class Choice:
    """What a run is made of: a seed, faults, positions of events, and how many workers."""

    seed: int
    faults: tuple[Fault, ...]
    kept: tuple[int, ...]
    workers: int


Play: TypeAlias = Callable[[Choice], Simulation]


def shrink(play: Play, failed: Simulation) -> Simulation:
    """Leave out and lower whatever may be, as long as the same promise is broken.

    What counts is fewest faults, then fewest events, workers and deliveries: delta debugging, one
    change at a time until none helps, or DELIVERIES_MAX are used up.
    """
    law = failed.broken[0].law
    if law == "rest":
        # What never ends is as long without its faults, and each try would take as long.
        return failed
    best, budget = failed, DELIVERIES_MAX
    sound = _Sound(play, law, _choice(failed))
    tried: set[Choice] = set()
    helped = True
    while helped:
        helped = False
        for choice in _smaller(_choice(best), len(best.steps)):
            if choice in tried or not sound.takes(choice):
                continue
            if budget <= 0:
                return best
            tried.add(choice)
            found = play(choice)
            budget -= len(found.steps)
            if any(each.law == law for each in found.broken) and _size(found) < _size(best):
                best, helped = evolve(found, runs=failed.runs), True
                break
    return best


@final
@define(eq=False)
class _Sound:
    """Knows which events may be left out: an invariant may speak of all of them ("each of the three
    orders is answered"), and then breaks without two of them for another reason.
    """

    play: Play
    law: str
    whole: Choice
    _known: dict[tuple[int, ...], bool] = field(factory=dict, init=False)

    def takes(self, choice: Choice) -> bool:
        """Tell whether these events can be without breaking it, if all of them can."""
        return not self._can(self.whole.kept) or self._can(choice.kept)

    def _can(self, kept: tuple[int, ...]) -> bool:
        if kept not in self._known:
            quiet = evolve(self.whole, kept=kept, faults=())
            self._known[kept] = any(
                all(each.law != self.law for each in self.play(evolve(quiet, seed=seed)).broken)
                for seed in range(SEEDS_TRIED)
            )
        return self._known[kept]


def _choice(simulation: Simulation) -> Choice:
    return Choice(simulation.seed, simulation.faults, simulation.kept, simulation.workers)


def _size(simulation: Simulation) -> tuple[float, ...]:
    return (
        len(simulation.faults),
        len(simulation.kept),
        simulation.workers,
        len(simulation.steps),
        sum(fault.at for fault in simulation.faults),
        simulation.seed,
    )


def _smaller(choice: Choice, steps: int) -> Iterator[Choice]:
    """Give choices that may tell the same story in fewer words, the boldest first."""
    faults, kept = choice.faults, choice.kept
    # Whatever is left out moves the rest in time: the same race may need another schedule.
    seeds = tuple(dict.fromkeys((choice.seed, *range(SEEDS_TRIED))))
    shorter = [evolve(choice, faults=fewer) for fewer in _fewer(faults)]
    if len(faults) > 1:
        # What took several by chance may take a single one of another kind.
        yield from (evolve(choice, faults=(alone,)) for alone in _singles(steps))
    shorter += (evolve(choice, kept=fewer) for fewer in _fewer(kept) if fewer)
    # With fewer events there is less before the moment that a fault must hit.
    shorter += (
        evolve(choice, kept=fewer, faults=lower)
        for fewer in _fewer(kept)
        if fewer
        for lower in _lowered(faults)
    )
    shorter += (evolve(choice, workers=workers) for workers in range(1, choice.workers))
    for seed in seeds:
        yield from (evolve(each, seed=seed) for each in shorter)
    yield from (evolve(choice, seed=seed) for seed in seeds)
    yield from (evolve(choice, faults=lower) for lower in _lowered(faults))


def _singles(steps: int) -> Iterator[Fault]:
    for at in range(1, steps + 1):
        yield from (Crash(at, "before"), Crash(at, "after"), LostAnswer(at), Drop(at))
        yield from (Duplicate(at), Reorder(at), Delay(at, 60.0), Delay(at, 3600.0), Pause(at))


def _lowered(faults: tuple[Fault, ...]) -> Iterator[tuple[Fault, ...]]:
    """Let one of the faults hit earlier."""
    for position, fault in enumerate(faults):
        if isinstance(fault, Partition | ClockJump):
            continue
        for at in range(1, fault.at):
            yield (*faults[:position], evolve(fault, at=at), *faults[position + 1 :])


def _fewer(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Leave out all, halves, and single items."""
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
