"""Message: faults that hit an event on its way, as data."""

from math import inf
from typing import Literal, TypeAlias, final

from attrs import frozen

# What a worker does when a workflow is cancelled: it receives an event, or waits for an effect.
Activity: TypeAlias = Literal["delivery", "effect"]
# What an outsider forges: the reply or the system error of a service that was asked, the event of a
# pending timer, a cancellation, or a request in the name of a workflow.
Forgery: TypeAlias = Literal["reply", "error", "timer", "cancellation", "request"]


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
class Oversize:
    """The *at*-th event put into a queue is above the size limit of the broker of a pair.

    The broker refuses it with `TooLarge`, and it must become a dead letter.
    """

    at: int

    def __str__(self) -> str:
        return "was too large for the broker"


@final
@frozen
class Poison:
    """The *at*-th event put into a queue ends the process of each worker that takes a step on it.

    After *deaths* workers it does no harm any more. Another worker starts in the place of each
    after *seconds*. With as many deaths as an event has attempts (5), it becomes a dead letter.
    """

    at: int
    deaths: int = 2
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"ends {self.deaths} workers"


@final
@frozen
class SlowListener:
    """The *at*-th call of the listener of a domain takes *seconds*, which may be `math.inf`.

    After its timeout of 60 seconds the worker cancels it, and calls it again.
    """

    at: int
    seconds: float = inf

    def __str__(self) -> str:
        return f"its listener hung for {self.seconds} s"


@final
@frozen
class LateCancel:
    """A client cancels a workflow while it is busy.

    It is the workflow of the *at*-th delivery, or of the *at*-th effect that a worker performs.
    """

    at: int
    during: Activity = "delivery"

    def __str__(self) -> str:
        return f"its workflow was cancelled during this {self.during}"


@final
@frozen
class Forge:
    """At the *at*-th delivery an outsider sends a forged event through the door of a client.

    It is built from what the system holds then: the open requests and timers of a workflow, and the
    payloads of other events. The door must refuse it, so that no workflow changes by it (I12).
    """

    at: int
    forgery: Forgery = "reply"

    def __str__(self) -> str:
        return f"an outsider forged a {self.forgery}"


@final
@frozen
class ReuseId:
    """At the *at*-th delivery a client sends another event with the id of one that was consumed.

    It must become a dead letter: nothing may take it for the first one (I2).
    """

    at: int

    def __str__(self) -> str:
        return "a client sent another event with a known id"
