"""Draw: the faults of a run, from its seed."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from random import Random
from typing import Final, TypeAlias, TypeVar, final

from attrs import frozen

from arvo.testing.simulation.faults.fault import (
    FAULT_KINDS,
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
    Server,
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
from arvo.testing.simulation.faults.plan import LATENCY_SECONDS_MAX, Point, RunSize

T = TypeVar("T")

# Most bugs need one fault, some need two or three.
FAULTS_MAX: Final = 4
# Within this time after a lease has expired, the next worker still handles the delivery.
PAST_LEASE_SECONDS: Final = 5 * LATENCY_SECONDS_MAX


def draw_faults(
    seed: int,
    size: RunSize,
    *,
    workers: int,
    lease: float,
    kinds: Sequence[type[Fault]] = FAULT_KINDS,
    is_pair: bool = False,
) -> tuple[Fault, ...]:
    """Draw up to FAULTS_MAX faults for a run of about *size*."""
    random = Random(f"{seed} faults")  # noqa: S311 - a simulation must be reproducible
    points = _Points(random, size, workers, lease, is_pair)
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if points.has(kind)]
    number = random.randint(0, FAULTS_MAX) if kinds else 0
    faults: list[Fault] = []
    while number > 0:
        fault = _DRAWS[random.choice(kinds)](points)
        # An event has five attempts, and no event may use up all of them.
        number -= fault.deaths if isinstance(fault, Poison) else 1
        faults += [fault] if number >= 0 else []
    return tuple(faults)


@final
@frozen
class _Points:
    """Draws where and when a fault hits a run of about *size*."""

    random: Random
    size: RunSize
    workers: int
    lease: float
    is_pair: bool

    def has(self, kind: type[Fault]) -> bool:
        """Return False if a kind of fault cannot hit such a run."""
        if kind is EffectCrash:
            return "result" in self.size.counts
        if kind is SlowListener:
            return "listener" in self.size.counts
        return self.is_pair or kind not in (OutboxCrash, Oversize)

    def number(self, point: Point) -> int:
        """Return the number of a point."""
        return self.random.randint(1, max(1, self.size.counts.get(point, 0)))

    @property
    def worker(self) -> int:
        return self.random.randrange(self.workers)

    @property
    def time(self) -> float:
        return round(self.random.uniform(0, self.size.seconds), 3)

    @property
    def seconds(self) -> float:
        """Short, much longer than the lease, or just past it, while another worker has it."""
        return self.random.choice((0.1, 1.0, self.just_past, self.just_past, 60.0))

    @property
    def just_past(self) -> float:
        return round(self.lease + self.random.random() * PAST_LEASE_SECONDS, 3)

    @property
    def server(self) -> Server:
        servers: tuple[Server, ...] = ("store", "broker") if self.is_pair else ("store",)
        return self.random.choice(servers)

    def choose(self, *values: T) -> T:
        """Return one of *values*."""
        return self.random.choice(values)


_Draw: TypeAlias = Callable[[_Points], Fault]

_DRAWS: Final[Mapping[type[Fault], _Draw]] = {
    # Timers wait for minutes. An event that races with one must be as late.
    Delay: lambda at: Delay(at.number("message"), at.choose(0.1, 1.0, 60.0, 3600.0)),
    Duplicate: lambda at: Duplicate(at.number("message")),
    Reorder: lambda at: Reorder(at.number("message")),
    Drop: lambda at: Drop(at.number("delivery")),
    Oversize: lambda at: Oversize(at.number("message")),
    Poison: lambda at: Poison(at.number("message"), at.choose(1, 2), at.seconds),
    # Less than the timeout of a listener, longer, and for ever.
    SlowListener: lambda at: SlowListener(at.number("listener"), at.choose(1.0, 90.0, inf)),
    LateCancel: lambda at: (
        LateCancel(at.number("effect"), "effect")
        if "effect" in at.size.counts and at.choose("effect", "delivery") == "effect"
        else LateCancel(at.number("delivery"))
    ),
    Forge: lambda at: Forge(
        at.number("delivery"), at.choose("reply", "error", "timer", "cancellation", "request")
    ),
    ReuseId: lambda at: ReuseId(at.number("delivery")),
    Crash: lambda at: Crash(at.number("commit"), at.choose("before", "after"), at.seconds),
    OutboxCrash: lambda at: OutboxCrash(
        at.number("commit"), at.choose("write", "publish", "send"), at.seconds
    ),
    Pause: lambda at: Pause(at.number("commit"), at.seconds),
    LostAnswer: lambda at: LostAnswer(at.number("commit")),
    LostRequest: lambda at: LostRequest(at.number("commit")),
    EffectCrash: lambda at: EffectCrash(
        at.number("result"), at.choose("before", "after"), at.seconds
    ),
    Partition: lambda at: Partition(at.worker, at.time, at.seconds),
    # Not for a minute: all that time each worker would try again what it has in hand.
    Outage: lambda at: Outage(at.server, at.time, at.choose(0.1, 1.0, at.just_past)),
    ClockJump: lambda at: ClockJump(at.worker, at.time, at.choose(-3600.0, -1.0, 1.0, 3600.0)),
    # Within the run, or only when events of the new version have waited for a long time.
    OldVersion: lambda at: OldVersion(at.worker, at.time + at.choose(0.0, 10.0, 100.0)),
}
