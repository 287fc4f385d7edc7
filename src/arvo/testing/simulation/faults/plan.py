"""Plan: the faults of one run, where each hits, and the random numbers of the run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, Literal, TypeAlias, final

from attrs import define, field, frozen

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
    Forge,
    LateCancel,
    Oversize,
    Poison,
    Reorder,
    ReuseId,
    SlowListener,
)

# The longest way to a server or back: long enough that workers overtake each other.
LATENCY_SECONDS_MAX: Final = 0.02

# The points of a run that are counted. A result is that of an effect.
Point: TypeAlias = Literal["message", "delivery", "commit", "effect", "result", "listener"]
# Which workers of a run take ticks.
Ticks: TypeAlias = Literal["none", "some", "all"]


@final
@frozen
class RunSize:
    """How many points of each kind a run has, and how many *seconds* it takes."""

    counts: Mapping[Point, int]
    seconds: float


@final
@define(eq=False)
class FaultPlan:
    """The faults of one run, and its random number generators, all from one *seed*."""

    faults: Sequence[Fault]
    seed: int
    _counts: Counter[Point] = field(factory=Counter, init=False)

    def next(self, point: Point) -> tuple[Fault, ...]:
        """Return the faults that hit the next point of a kind."""
        self._counts[point] += 1
        number = self._counts[point]
        return tuple(
            fault for fault in self.faults if _point(fault) == point and _at(fault) == number
        )

    def random(self, name: str) -> Random:
        """Return the random number generator of a worker or client.

        Each has its own, so that one that draws more numbers does not change the others. The seed
        is a string, because its hash is the same in every process.
        """
        return Random(f"{self.seed} {name}")  # noqa: S311 - a simulation must be reproducible

    @property
    def ticks(self) -> Ticks:
        """The workers that take all that is ready in one tick.

        The others process each delivery by itself, as they do when a tick cannot process it.
        """
        return self.random("ticks").choice(("none", "some", "all"))

    def takes_ticks(self, worker: int) -> bool:
        """Return whether a worker takes ticks."""
        return self.ticks == "all" or (self.ticks == "some" and worker % 2 == 0)

    def size(self, seconds: float) -> RunSize:
        """Return the size of the run so far, which has taken *seconds*."""
        return RunSize(dict(self._counts), seconds)


def _point(fault: Fault) -> Point | None:
    match fault:
        case Delay() | Duplicate() | Reorder() | Oversize() | Poison():
            return "message"
        case Drop() | Forge() | ReuseId():
            return "delivery"
        case LateCancel(during=point):
            return point
        case SlowListener():
            return "listener"
        case Crash() | OutboxCrash() | Pause() | LostAnswer() | LostRequest():
            return "commit"
        case EffectCrash():
            return "result"
        case Partition() | Outage() | ClockJump() | OldVersion():
            return None


def _at(fault: Fault) -> float:
    return fault.at
