"""Waits: the timers, signals and concurrency that a flow's function is written with."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.duration import to_timedelta
from arvo.handlers.flow.operations import Delay, Flow, Parallel, WaitForSignal
from arvo.handlers.flow.primitives import check_classes
from arvo.handlers.generators import Undriven

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")


def sleep(span: timedelta | float | None = None, /, *, until: datetime | None = None) -> Flow[None]:
    """Wait for a timedelta or a number of seconds, or *until* a datetime with an offset.

    The timer is durable: it survives a restart. Raises `Violated` for any other argument.
    """
    return _sleep(span, until, Undriven("sleep"))


def _sleep(span: object, until: object, undriven: Undriven) -> Flow[None]:
    undriven.start()
    if (span is None) == (until is None):
        expected = "seconds or a timedelta, or until=, and not both"
        got = "nothing" if span is None else f"{short_repr(span)} and until={short_repr(until)}"
        raise _cannot_wait(Issue("sleep", expected, got))
    yield _delay_for("sleep", span) if until is None else _delay_until("sleep.until", until)


@overload
def wait_for(a: type[A], /, *, where: Callable[[A], bool] | None = None) -> Flow[A]: ...
@overload
def wait_for(
    a: type[A], b: type[B], /, *, where: Callable[[A | B], bool] | None = None
) -> Flow[A | B]: ...
@overload
def wait_for(
    a: type[A],
    /,
    *,
    where: Callable[[A], bool] | None = None,
    deadline: timedelta | float | datetime,
) -> Flow[A | None]: ...
@overload
def wait_for(
    a: type[A],
    b: type[B],
    /,
    *,
    where: Callable[[A | B], bool] | None = None,
    deadline: timedelta | float | datetime,
) -> Flow[A | B | None]: ...
@overload
def wait_for(
    a: type[A],
    b: type[B],
    c: type[C],
    /,
    *more: type[D],
    where: Callable[[A | B | C | D], bool] | None = None,
    deadline: timedelta | float | datetime | None = None,
) -> Flow[A | B | C | D | None]: ...
def wait_for(
    *types: type[Any],
    where: Callable[[Any], bool] | None = None,
    deadline: timedelta | float | datetime | None = None,
) -> Flow[Any]:
    """Wait for a signal: an event of one of the flow's `signals`, whose payload is of *types*.

    Signals that arrived earlier are matched first, oldest first. A signal for which *where* returns
    False stays unread, for a later `wait_for`. *deadline* is a timedelta or a number of seconds, or
    a datetime with an offset; after it the result is None.
    """
    return _wait_for(types, where, deadline, Undriven("wait_for"))


def _wait_for(
    types: tuple[type[Any], ...],
    where: Callable[[Any], bool] | None,
    deadline: timedelta | float | datetime | None,
    undriven: Undriven,
) -> Flow[Any]:
    undriven.start()
    if not types:
        issue = Issue("wait_for", "at least one class of payload", "none")
        raise Violated(ExecutionViolation("the flow waits for nothing", issue))
    check_classes("wait_for", types)
    timeout = None
    if isinstance(deadline, datetime):
        timeout = _delay_until("wait_for.deadline", deadline)
    elif deadline is not None:
        timeout = _delay_for("wait_for.deadline", deadline)
    return (yield WaitForSignal(types, where, timeout))


@overload
def gather(a: Flow[A], /) -> Flow[tuple[A]]: ...
@overload
def gather(a: Flow[A], b: Flow[B], /) -> Flow[tuple[A, B]]: ...
@overload
def gather(a: Flow[A], b: Flow[B], c: Flow[C], /) -> Flow[tuple[A, B, C]]: ...
@overload
def gather(a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /) -> Flow[tuple[A, B, C, D]]: ...
@overload
def gather(*flows: Flow[T]) -> Flow[tuple[T, ...]]: ...
def gather(*flows: Flow[Any]) -> Flow[Any]:
    """Run flows concurrently and wait for all; return their results in the order of the arguments.

    An exception of one flow is raised here, and the others are closed. Each flow must be one that
    has not started.
    """
    return _branch(Parallel(flows), Undriven("gather"))


@overload
def race(a: Flow[A], b: Flow[B], /) -> Flow[A | B]: ...
@overload
def race(a: Flow[A], b: Flow[B], c: Flow[C], /) -> Flow[A | B | C]: ...
@overload
def race(*flows: Flow[T]) -> Flow[T]: ...
def race(*flows: Flow[Any]) -> Flow[Any]:
    """Run flows concurrently and wait for the first that returns or raises.

    The others are closed: their timers are cleared, their children cancelled, and late replies are
    ignored. `race(ask(...), sleep(60))` is a request with a timeout of a minute; the result is None
    if it timed out.
    """
    return _branch(Parallel(flows, first=True), Undriven("race"))


def _branch(parallel: Parallel, undriven: Undriven) -> Flow[Any]:
    undriven.start()
    if parallel.first and not parallel.flows:
        issue = Issue("race", "at least one flow", "none")
        raise Violated(ExecutionViolation("a race needs a flow", issue))
    return (yield parallel)


def _delay_for(argument: str, span: object) -> Delay:
    return Delay(span=to_timedelta(argument, span))


def _delay_until(argument: str, until: object) -> Delay:
    if isinstance(until, datetime) and until.utcoffset() is not None:
        return Delay(until=until)
    raise _cannot_wait(Issue(argument, "a datetime with an offset (tzinfo)", short_repr(until)))


def _cannot_wait(issue: Issue) -> Violated:
    return Violated(ExecutionViolation("the flow cannot wait for this", issue))
