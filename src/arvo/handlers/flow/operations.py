"""Operations: the values that a flow yields, which the system performs now or after a restart."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar, final

from attrs import field, frozen

from arvo.core.command import Compensate, Emit
from arvo.core.payloads.types.classes import is_instance
from arvo.handlers.effect import Perform

R_co = TypeVar("R_co", covariant=True)


@final
@frozen
class Request:
    """Send *emit* and wait for its reply: one of the classes *replies*, or any if there are
    none.
    """

    emit: Emit
    replies: tuple[type[Any], ...] = ()


@final
@frozen
class Delay:
    """Wait until a time, or for a span."""

    until: datetime | None = None
    span: timedelta | None = None


@final
@frozen
class WaitForSignal:
    """Wait for a signal whose payload is one of *types* and matches *where*, at most *timeout*."""

    types: tuple[type[Any], ...]
    where: Callable[[Any], bool] | None = field(default=None, eq=False)
    timeout: Delay | None = None

    def accepts(self, payload: object) -> bool:
        """Return True if a signal with this payload completes the wait."""
        if not is_instance(payload, self.types):
            return False
        return self.where is None or bool(self.where(payload))


@final
@frozen
class IssueCommand:
    """Issue a command and continue at once."""

    command: Emit | Compensate


@final
@frozen(eq=False)
class Parallel:
    """Run flows concurrently until all have finished or, with *first*, until one has."""

    flows: tuple["Generator[FlowOperation, Any, Any]", ...]
    first: bool = False


FlowOperation: TypeAlias = Request | Delay | WaitForSignal | IssueCommand | Parallel | Perform[Any]
# The operations that wait for an answer from outside the flow.
PendingOperation: TypeAlias = Request | Delay | WaitForSignal | Perform[Any]

# The return type of a flow's function: declare `-> Flow[OrderFulfilled]`.
Flow: TypeAlias = Generator[FlowOperation, Any, R_co]
