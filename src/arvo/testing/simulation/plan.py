"""Plan: which faults there are, where they hit, and how long everything takes."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final, Literal, TypeAlias, final

from attrs import define, field, frozen

from arvo.testing.simulation.faults import (
    FAULT_KINDS,
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

# What a call to the store takes, in seconds: enough that workers overtake each other.
LATENCY_SECONDS_MAX: Final = 0.02
# One fault at a time finds most; some need two or three.
FAULTS_MAX: Final = 4

# So soon after a lease has run out, whoever has the delivery now is still at work on it.
JUST_SECONDS: Final = 5 * LATENCY_SECONDS_MAX

Point: TypeAlias = Literal["post", "delivery", "commit"]


@final
@frozen
class Extent:
    """How much happened in a run: numbers of posts, deliveries and commits, and its seconds."""

    posts: int
    deliveries: int
    commits: int
    seconds: float


@final
@define(eq=False)
class Plan:
    """The faults of one run by where they hit, and its chances, all from one seed.

    Each worker has chances of its own, so that what one does more does not change the others'.
    """

    faults: Sequence[Fault]
    seed: int
    _counts: Counter[Point] = field(factory=Counter, init=False)

    def next(self, point: Point) -> tuple[Fault, ...]:
        """Give the faults that hit the next post, delivery or commit."""
        self._counts[point] += 1
        number = self._counts[point]
        return tuple(
            fault for fault in self.faults if _point(fault) == point and _at(fault) == number
        )

    def chances(self, name: str) -> Random:
        """Give the chances of somebody. Seeded by a text: its hash is the same everywhere."""
        return Random(f"{self.seed} {name}")  # noqa: S311 - the same each time is what is wanted

    def extent(self, seconds: float) -> Extent:
        """Say how much happened."""
        counts = self._counts
        return Extent(counts["post"], counts["delivery"], counts["commit"], seconds)


def drawn(
    seed: int,
    extent: Extent,
    *,
    workers: int,
    lease: float,
    kinds: Sequence[type[Fault]] = FAULT_KINDS,
) -> tuple[Fault, ...]:
    """Draw faults from a seed, for a run of about that extent."""
    chances = Random(f"{seed} faults")  # noqa: S311 - the same each time is what is wanted
    number = chances.randint(0, FAULTS_MAX) if kinds else 0
    return tuple(
        _fault(chances, chances.choice(kinds), extent, workers, lease) for _ in range(number)
    )


def _fault(chances: Random, kind: type[Fault], extent: Extent, workers: int, lease: float) -> Fault:
    message, delivery, commit = (
        chances.randint(1, max(1, most))
        for most in (extent.posts, extent.deliveries, extent.commits)
    )
    worker, at = chances.randrange(workers), round(chances.uniform(0, extent.seconds), 3)
    # Short, long past the lease, and just past it, when another one has it in hand.
    just_past = round(lease + chances.random() * JUST_SECONDS, 3)
    seconds = chances.choice((0.1, 1.0, just_past, just_past, 60.0))
    if kind is Delay:
        # Timers wait for minutes; what races with one must be as late.
        return Delay(message, chances.choice((0.1, 1.0, 60.0, 3600.0)))
    if kind is Duplicate:
        return Duplicate(message)
    if kind is Reorder:
        return Reorder(message)
    if kind is Drop:
        return Drop(delivery)
    if kind is Crash:
        return Crash(commit, chances.choice(("before", "after")), seconds)
    if kind is Pause:
        return Pause(commit, seconds)
    if kind is LostAnswer:
        return LostAnswer(commit)
    if kind is Partition:
        return Partition(worker, at, seconds)
    return ClockJump(worker, at, chances.choice((-3600.0, -1.0, 1.0, 3600.0)))


def _point(fault: Fault) -> Point | None:
    match fault:
        case Delay() | Duplicate() | Reorder():
            return "post"
        case Drop():
            return "delivery"
        case Crash() | Pause() | LostAnswer():
            return "commit"
        case Partition() | ClockJump():
            return None


def _at(fault: Fault) -> float:
    return fault.at
