"""Effect: I/O that a handler asks for and an interpreter performs."""

from collections.abc import Awaitable, Callable, Generator, Mapping
from datetime import timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar, TypeVarTuple, final, overload

from attrs import Attribute, field, frozen

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.duration import to_seconds
from arvo.handlers.generators import Undriven

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

ATTEMPTS_MAX: Final = 100


def _between(minimum: float, maximum: float) -> "Callable[[Any, Attribute[Any], Any], None]":
    def check(_: object, attribute: "Attribute[Any]", value: Any) -> None:
        is_whole = attribute.name == "attempts"
        types = int if is_whole else int | float
        if not isinstance(value, types) or not minimum <= value <= maximum:
            expected = f"{minimum} to {maximum}{', a whole number' if is_whole else ''}"
            issue = Issue(f"retry.{attribute.name}", expected, repr(value))
            raise Violated(ConfigViolation("the retry policy is invalid", issue))

    return check


@final
@frozen
class Retry:
    """A retry policy with exponential backoff, as data.

    *attempts*: the number of attempts in all; 1 means no retry. *delay*: seconds before the second
    attempt. *factor*: the multiplier for each further delay. *jitter*: the share of a delay, 0 to
    1, by which it may be shortened at random. *longest*: the upper limit of a delay, in seconds.
    Raises `Violated` for a value out of bounds.
    """

    attempts: int = field(default=3, validator=_between(1, ATTEMPTS_MAX))
    delay: float = field(default=0.1, validator=_between(0, 86_400))
    factor: float = field(default=2.0, validator=_between(1, 100))
    jitter: float = field(default=0.1, validator=_between(0, 1))
    longest: float = field(kw_only=True, default=60.0, validator=_between(0, 86_400))

    def wait_after(self, attempt: int, chance: float = 0.0) -> float:
        """Return the seconds to wait after attempt number *attempt*; *chance* is 0 to 1.

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
    """An effect to perform: call *function* with *args*, and send back its result.

    *timeout*: seconds for each attempt, None for no limit. *open*: all effects that the handler
    waits for, this one first, where a flow runs branches side by side; empty if it is the only one.
    They may be performed at the same time. Comparisons ignore it.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    retry: Retry = ONCE
    timeout: float | None = None
    open: "tuple[Perform[Any], ...]" = field(default=(), eq=False, repr=False, kw_only=True)

    @property
    def effects(self) -> "tuple[Perform[Any], ...]":
        """All effects that may be performed now, the one that was asked for first at the front."""
        return self.open or (self,)

    @property
    def name(self) -> str:
        """The name of its function, without the arguments, which may be secret."""
        return str(getattr(self.function, "__qualname__", repr(self.function)))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(short_repr, self.args))})"[:200]

    def matches(self, other: "Perform[Any]") -> bool:
        """Return True if *other* is the same effect in another run of the same handler."""
        if self.function != other.function:
            return False
        try:
            return self.args == other.args
        except Exception:  # noqa: BLE001 - NumPy arrays raise when compared as one value
            return str(self) == str(other)


@final
@frozen
class Performed:
    """An effect that was performed, with its result or the exception it raised."""

    effect: Perform[Any]
    value: Any = None
    error: Exception | None = None


def effect_error(effect: Perform[Any], error: BaseException) -> Exception:
    """Return the exception to raise in the handler whose effect raised *error*.

    A `SystemExit`, and any other that is no `Exception`, becomes a `RuntimeError`: an effect that
    ends the process has failed, so `except Exception` in the handler should catch it. So does a
    `StopIteration`, which a generator cannot pass on.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    wrapped = RuntimeError(f"{effect} raised {text}")
    wrapped.__cause__ = error
    return wrapped


# Functions that handlers call as effects, and the functions to call instead. Any: a type checker
# that infers a mapping of functions with several signatures takes them for no `Callable`.
EffectTable: TypeAlias = Mapping[Any, Any]

# The return type of a handler with effects: declare `-> Effects[Emit]`.
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

    *function* may be plain or `async`; a plain one runs in a thread. *timeout*: a timedelta, or
    seconds, for each attempt; anything else raises `Violated`. The exception of the last attempt is
    raised at the `yield from`, where an ordinary `try` may catch it.
    """
    return _call(function, args, retry, timeout, Undriven("call"))


def _call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    retry: Retry | None,
    timeout: float | timedelta | None,
    undriven: Undriven,
) -> Effects[Any]:
    undriven.start()
    seconds = None if timeout is None else to_seconds("call.timeout", timeout)
    return (yield Perform(function, args, retry or ONCE, seconds))
