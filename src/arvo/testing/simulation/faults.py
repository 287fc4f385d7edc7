"""Faults: what may go wrong between workers, store and queue, as data."""

from typing import Final, Literal, TypeAlias, final

from attrs import frozen

When: TypeAlias = Literal["before", "after"]


@final
@frozen
class Delay:
    """The *at*-th event that is put into a queue comes out *seconds* later than it could.

    Those of its key wait behind it: a backend keeps their order.
    """

    at: int
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"was {self.seconds} s on its way"


@final
@frozen
class Duplicate:
    """The *at*-th event that is put into a queue is put there twice."""

    at: int

    def __str__(self) -> str:
        return "was put into the queue twice"


@final
@frozen
class Reorder:
    """The *at*-th event that is put into a queue overtakes all but those of its own key."""

    at: int

    def __str__(self) -> str:
        return "overtook those before it"


@final
@frozen
class Drop:
    """The *at*-th delivery is lost on its way to its worker; it comes again after the lease."""

    at: int

    def __str__(self) -> str:
        return "never reached the worker"


@final
@frozen
class Crash:
    """The worker that makes the *at*-th commit dies *when* it is applied: before, or after.

    Another one starts in its place after *seconds*; what it had in hand comes again after the
    lease. To settle what goes out of the system counts as a commit.
    """

    at: int
    when: When = "before"
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"the worker dies {self.when} this commit"


@final
@frozen
class Pause:
    """The worker that makes the *at*-th commit stands still before it, for *seconds*.

    Longer than the lease, others take it for dead, and its commit is a stale one.
    """

    at: int
    seconds: float = 60.0

    def __str__(self) -> str:
        return f"the worker stands still for {self.seconds} s before this commit"


@final
@frozen
class LostAnswer:
    """The *at*-th commit is applied, and the worker is told that the store is unavailable."""

    at: int

    def __str__(self) -> str:
        return "the answer to this commit is lost"


@final
@frozen
class Partition:
    """The *worker*-th worker (0 is the first) does not reach the store for *seconds*, from *at*
    seconds after the beginning.
    """

    worker: int
    at: float
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"worker {self.worker} is cut off from the store for {self.seconds} s"


@final
@frozen
class ClockJump:
    """The clock of the *worker*-th worker is moved by *seconds*, *at* seconds after the
    beginning.
    """

    worker: int
    at: float
    seconds: float

    def __str__(self) -> str:
        return f"the clock of worker {self.worker} jumps by {self.seconds} s"


Fault: TypeAlias = (
    Delay | Duplicate | Reorder | Drop | Crash | Pause | LostAnswer | Partition | ClockJump
)

# What is drawn from where nothing else is said.
FAULT_KINDS: Final[tuple[type[Fault], ...]] = (
    Delay,
    Duplicate,
    Reorder,
    Drop,
    Crash,
    Pause,
    LostAnswer,
    Partition,
    ClockJump,
)
