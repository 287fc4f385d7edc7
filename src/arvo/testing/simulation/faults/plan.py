"""Plan: the faults of one run, where each hits, and the random numbers of the run."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final, Literal, TypeAlias, final

from attrs import define, field, frozen

from arvo.testing.simulation.faults.fault import (
    FAULT_KINDS,
    ClockJump,
    Crash,
    Delay,
    Drop,
    Duplicate,
    EffectCrash,
    Fault,
    LostAnswer,
    LostRequest,
    OldVersion,
    Partition,
    Pause,
    Reorder,
)

# The longest way to the store or back: long enough that workers overtake each other.
LATENCY_SECONDS_MAX: Final = 0.02
# Most bugs need one fault, some need two or three.
FAULTS_MAX: Final = 4

# Within this time after a lease has expired, the next worker still handles the delivery.
PAST_LEASE_SECONDS: Final = 5 * LATENCY_SECONDS_MAX

Point: TypeAlias = Literal["message", "delivery", "commit", "effect"]


@final
@frozen
class RunSize:
    """The numbers of messages, deliveries, commits and effects in a run, and its seconds."""

    messages: int
    deliveries: int
    commits: int
    effects: int
    seconds: float


@final
@define(eq=False)
class FaultPlan:
    """The faults of one run, and its random number generators, all from one *seed*."""

    faults: Sequence[Fault]
    seed: int
    _counts: Counter[Point] = field(factory=Counter, init=False)

    def next(self, point: Point) -> tuple[Fault, ...]:
        """Return the faults that hit the next message, delivery, commit or effect."""
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

    def size(self, seconds: float) -> RunSize:
        """Return the size of the run so far, which has taken *seconds*."""
        counts = self._counts
        return RunSize(
            counts["message"], counts["delivery"], counts["commit"], counts["effect"], seconds
        )


def draw_faults(
    seed: int,
    size: RunSize,
    *,
    workers: int,
    lease: float,
    kinds: Sequence[type[Fault]] = FAULT_KINDS,
) -> tuple[Fault, ...]:
    """Draw up to FAULTS_MAX faults for a run of about *size*."""
    random = Random(f"{seed} faults")  # noqa: S311 - a simulation must be reproducible
    if not size.effects and len(kinds) > 1:
        kinds = [kind for kind in kinds if kind is not EffectCrash]
    number = random.randint(0, FAULTS_MAX) if kinds else 0
    return tuple(
        _draw_fault(random, random.choice(kinds), size, workers, lease) for _ in range(number)
    )


def _draw_fault(
    random: Random, kind: type[Fault], size: RunSize, workers: int, lease: float
) -> Fault:
    message, delivery, commit = (
        random.randint(1, max(1, most)) for most in (size.messages, size.deliveries, size.commits)
    )
    worker, at = random.randrange(workers), round(random.uniform(0, size.seconds), 3)
    # Short, much longer than the lease, or just past it, while another worker has the delivery.
    just_past = round(lease + random.random() * PAST_LEASE_SECONDS, 3)
    seconds = random.choice((0.1, 1.0, just_past, just_past, 60.0))
    if kind is Delay:
        # Timers wait for minutes. An event that races with one must be as late.
        return Delay(message, random.choice((0.1, 1.0, 60.0, 3600.0)))
    if kind is Duplicate:
        return Duplicate(message)
    if kind is Reorder:
        return Reorder(message)
    if kind is Drop:
        return Drop(delivery)
    if kind is Crash:
        return Crash(commit, random.choice(("before", "after")), seconds)
    if kind is Pause:
        return Pause(commit, seconds)
    if kind is LostAnswer:
        return LostAnswer(commit)
    if kind is LostRequest:
        return LostRequest(commit)
    if kind is EffectCrash:
        effect = random.randint(1, max(1, size.effects))
        return EffectCrash(effect, random.choice(("before", "after")), seconds)
    if kind is Partition:
        return Partition(worker, at, seconds)
    if kind is OldVersion:
        # Within the run, or only when events of the new version have waited for a long time.
        return OldVersion(worker, random.choice((at, at + 10.0, at + 100.0)))
    return ClockJump(worker, at, random.choice((-3600.0, -1.0, 1.0, 3600.0)))


def _point(fault: Fault) -> Point | None:
    match fault:
        case Delay() | Duplicate() | Reorder():
            return "message"
        case Drop():
            return "delivery"
        case Crash() | Pause() | LostAnswer() | LostRequest():
            return "commit"
        case EffectCrash():
            return "effect"
        case Partition() | ClockJump() | OldVersion():
            return None


def _at(fault: Fault) -> float:
    return fault.at
