"""Fault: failures of workers, network, store and clocks, as data."""

from typing import Final, Literal, TypeAlias, final

from attrs import frozen

When: TypeAlias = Literal["before", "after"]


@final
@frozen
class Delay:
    """The *at*-th event put into a queue is delivered *seconds* later than it could be.

    Later events of its key wait behind it, because a backend keeps their order.
    """

    at: int
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"was delayed by {self.seconds} s"


@final
@frozen
class Duplicate:
    """The *at*-th event put into a queue is put there twice."""

    at: int

    def __str__(self) -> str:
        return "was put into the queue twice"


@final
@frozen
class Reorder:
    """The *at*-th event put into a queue overtakes all events except those of its own key."""

    at: int

    def __str__(self) -> str:
        return "overtook earlier events"


@final
@frozen
class Drop:
    """The *at*-th delivery does not reach its worker; it is redelivered after the lease."""

    at: int

    def __str__(self) -> str:
        return "never reached the worker"


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
    """A worker cannot reach the store for *seconds*.

    *worker* is its position, from 0. The partition begins *at* seconds after the start of the run.
    """

    worker: int
    at: float
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"worker {self.worker} could not reach the store for {self.seconds} s"


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
    | Crash
    | Pause
    | LostAnswer
    | LostRequest
    | EffectCrash
    | Partition
    | ClockJump
    | OldVersion
)

# The kinds of faults that `simulate` draws by default; with an older system, `OldVersion` too.
FAULT_KINDS: Final[tuple[type[Fault], ...]] = (
    Delay,
    Duplicate,
    Reorder,
    Drop,
    Crash,
    Pause,
    LostAnswer,
    LostRequest,
    EffectCrash,
    Partition,
    ClockJump,
)
