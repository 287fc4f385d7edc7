"""Effect: I/O that a handler asks for and an interpreter performs."""

from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar, TypeVarTuple, final, overload

from attrs import Attribute, field, frozen

from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

ATTEMPTS_MAX: Final = 100


def _positive(minimum: float, maximum: float) -> "Callable[[Any, Attribute[Any], Any], None]":
    def check(_: object, attribute: "Attribute[Any]", value: Any) -> None:
        whole = attribute.name == "attempts"
        kinds = int if whole else int | float
        if not isinstance(value, kinds) or not minimum <= value <= maximum:
            expected = f"{minimum} to {maximum}{', a whole number' if whole else ''}"
            issue = Issue(f"retry.{attribute.name}", expected, repr(value))
            raise Violated(ConfigViolation("this retry policy cannot be", issue))

    return check


@final
@frozen
class Retry:
    """How often to try again, and how long to wait before: data, so that it can be shown and
    tested.

    *attempts*: tries in all, 1 for "once". *delay*: seconds before the second try. *factor*: by
    which each further wait grows. *jitter*: share of the wait that chance may take off, 0 to 1.
    *longest*: seconds that no wait exceeds.
    """

    attempts: int = field(default=3, validator=_positive(1, ATTEMPTS_MAX))
    delay: float = field(default=0.1, validator=_positive(0, 86_400))
    factor: float = field(default=2.0, validator=_positive(1, 100))
    jitter: float = field(default=0.1, validator=_positive(0, 1))
    longest: float = field(kw_only=True, default=60.0, validator=_positive(0, 86_400))

    def wait_after(self, attempt: int, chance: float = 0.0) -> float:
        """Say how many seconds to wait after the *attempt*-th try; *chance* is 0 to 1.

        >>> [Retry(delay=1.0).wait_after(attempt) for attempt in (1, 2, 3)]
        [1.0, 2.0, 4.0]
        """
        # The exponent is bounded by ATTEMPTS_MAX, and the product by `longest`.
        wait = min(self.longest, self.delay * self.factor ** min(attempt - 1, ATTEMPTS_MAX))
        return wait * (1 - self.jitter * chance)


ONCE: Final = Retry(attempts=1)


@final
@frozen
class Perform(Generic[T_co]):
    """An effect that is wanted: call *function* with *args*, and send back what it returns.

    *timeout*: seconds for each attempt, None for no limit.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    retry: Retry = ONCE
    timeout: float | None = None

    def __str__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        return f"{name}({', '.join(map(short, self.args))})"[:200]

    def same(self, other: "Perform[Any]") -> bool:
        """Tell whether *other* asks for the same, in another run of the same handler."""
        if self.function != other.function:
            return False
        try:
            return self.args == other.args
        except Exception:  # noqa: BLE001 - columns of numbers are neither equal nor not
            return str(self) == str(other)


@final
@frozen
class Performed:
    """An effect that was performed, and what it returned; or the exception it raised."""

    effect: Perform[Any]
    value: Any = None
    error: Exception | None = None


# What a handler with effects returns: declare `-> Effects[Emit]`.
Effects: TypeAlias = Generator[Perform[Any], Any, R]


@overload
def call(
    function: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    retry: Retry | None = None,
    timeout: float | timedelta | None = None,
) -> Effects[T]: ...
@overload
def call(
    function: Callable[[*Ts], T],
    *args: *Ts,
    retry: Retry | None = None,
    timeout: float | timedelta | None = None,
) -> Effects[T]: ...
def call(
    function: Callable[[*Ts], Any],
    *args: *Ts,
    retry: Retry | None = None,
    timeout: float | timedelta | None = None,
) -> Effects[Any]:
    """Ask for an effect inside a handler: `user = yield from call(fetch_user, user_id)`.

    *function* may be plain or `async`; a plain one runs in a thread. *timeout*: seconds, or a
    timedelta, for each attempt. An exception that is left after the last attempt is raised at the
    `yield from`, where an ordinary `try` may catch it.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    return (yield Perform(function, args, retry or ONCE, seconds))
