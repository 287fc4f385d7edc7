"""Fault: failures of workers, network, store and clocks, as data."""

from typing import Final, Literal, TypeAlias, final

from attrs import frozen

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

When: TypeAlias = Literal["before", "after"]
# A pair consists of two servers; a transactional store is the store.
Server: TypeAlias = Literal["store", "broker"]
# A move of a commit on a pair, after which a worker may crash: the record is written, a part of its
# events is published, all of them are.
Move: TypeAlias = Literal["write", "publish", "send"]


@final
@frozen
class Crash:
    """The worker of the *at*-th commit crashes, *when* it is applied: before or after.

    Another worker starts in its place after *seconds*. The crashed worker's deliveries are
    redelivered after the lease. Acknowledging an outbound event counts as a commit.
    """

    at: int
    when: When = "before"
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"the worker crashed {self.when} this commit"


@final
@frozen
class OutboxCrash:
    """The worker of the *at*-th commit crashes in the middle of it, on a pair: after a *move*.

    `"write"`: its record is written, and none of its events is published. `"publish"`: the first
    event is published, and another one is not. `"send"`: all are published, and the delivery is not
    acknowledged. Another worker starts in its place after *seconds*.
    """

    at: int
    move: Move = "write"
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"the worker crashed after the {self.move} of this commit"


@final
@frozen
class Pause:
    """The worker of the *at*-th commit is paused for *seconds* before it commits.

    If the pause is longer than the lease, its deliveries go to other workers and its commit is
    stale.
    """

    at: int
    seconds: float = 60.0

    def __str__(self) -> str:
        return f"the worker was paused for {self.seconds} s before this commit"


@final
@frozen
class LostAnswer:
    """The *at*-th commit is applied, but its worker gets `Unavailable` as the answer."""

    at: int

    def __str__(self) -> str:
        return "the answer to this commit was lost"


@final
@frozen
class LostRequest:
    """The *at*-th commit does not reach the store: its worker gets `Unavailable`."""

    at: int

    def __str__(self) -> str:
        return "this commit did not reach the store"


@final
@frozen
class EffectCrash:
    """The worker crashes when the result of the *at*-th effect is stored: *when*, before or after.

    Another worker starts in its place after *seconds*, and the delivery is redelivered after the
    lease. It performs no effect again whose result was stored.
    """

    at: int
    when: When = "after"
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"the worker crashed {self.when} the result of this effect was stored"


@final
@frozen
class Partition:
    """A worker can reach neither the store nor the broker for *seconds*.

    *worker* is its position, from 0. The partition begins *at* seconds after the start of the run.
    """

    worker: int
    at: float
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"worker {self.worker} was disconnected for {self.seconds} s"


@final
@frozen
class Outage:
    """No worker can reach a server for *seconds*: the store, or the broker of a pair.

    It begins *at* seconds after the start of the run. Deliveries in progress are redelivered.
    """

    server: Server
    at: float
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"the {self.server} was unavailable for {self.seconds} s"


@final
@frozen
class ClockJump:
    """The clock of a worker jumps by *seconds*, which may be negative.

    *worker* is its position, from 0. The jump happens *at* seconds after the start of the run.
    """

    worker: int
    at: float
    seconds: float

    def __str__(self) -> str:
        return f"the clock of worker {self.worker} jumped by {self.seconds} s"


@final
@frozen
class OldVersion:
    """A worker runs the older system until *at* seconds after the start of the run.

    *worker* is its position, from 0. Then it ends, and a worker with the new system starts in its
    place: a rolling deploy. For `simulate(..., older=...)`.
    """

    worker: int
    at: float

    def __str__(self) -> str:
        return f"worker {self.worker}, which ran the older system, was replaced"


Fault: TypeAlias = (
    Delay
    | Duplicate
    | Reorder
    | Drop
    | Oversize
    | Poison
    | SlowListener
    | LateCancel
    | Forge
    | ReuseId
    | Crash
    | OutboxCrash
    | Pause
    | LostAnswer
    | LostRequest
    | EffectCrash
    | Partition
    | Outage
    | ClockJump
    | OldVersion
)

# The kinds of faults that `simulate` draws by default; with an older system, `OldVersion` too. A
# correct system has the same outcome under all of them: not after `Oversize`, `LateCancel` and
# `ReuseId`.
FAULT_KINDS: Final[tuple[type[Fault], ...]] = (
    Delay,
    Duplicate,
    Reorder,
    Drop,
    Poison,
    SlowListener,
    Forge,
    Crash,
    OutboxCrash,
    Pause,
    LostAnswer,
    LostRequest,
    EffectCrash,
    Partition,
    Outage,
    ClockJump,
)
