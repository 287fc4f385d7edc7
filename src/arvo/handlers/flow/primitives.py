"""Script: the words that a flow is written in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Never, TypedDict, TypeVar, Unpack, final, overload

from attrs import evolve

from arvo.core.command import Compensate, Emit
from arvo.core.contracts.versioned import VersionedWorkflow
from arvo.core.events.domain import DomainRule
from arvo.core.events.fault import SystemFault
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.flow.operations import Branches, Flow, Listen, Nap, Request, Tell

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
T = TypeVar("T")
P = TypeVar("P")


class ServiceFailed(Exception):
    """A service answered with a system error; *fault* is what it said, *service* its type."""

    def __init__(self, service: str, fault: SystemFault) -> None:
        super().__init__(service, fault)
        self.service = service
        self.fault = fault

    def __str__(self) -> str:
        return f"{self.service} failed: {self.fault.name}: {self.fault.message}"


class UnexpectedReply(Exception):
    """A service answered with an event of its contract that `ask` does not name; see *reply*."""

    def __init__(self, event_type: str, reply: object) -> None:
        super().__init__(event_type, reply)
        self.event_type = event_type
        self.reply = reply

    def __str__(self) -> str:
        return f"{self.event_type} is no reply that the flow names: {short(self.reply)}"


class CallFailed(Exception):
    """The function of a `call` raised; *name* and *message* are its exception's.

    It is this one also the first time, so that a flow that is replayed meets the same.
    """

    def __init__(self, function: str, name: str, message: str) -> None:
        super().__init__(function, name, message)
        self.function = function
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"{self.function} raised {self.name}: {self.message}"


@final
class Failing(Exception):
    """What `fail` raises."""

    def __init__(self, reason: str, name: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.name = name


# Of no Exception: `except Exception` is about what went wrong, and these are not that.
@final
class Cancelled(BaseException):
    """The workflow is cancelled: raised where it waits.

    What a flow still emits is sent; it waits for nothing more. *reason* is the `Cancellation`'s.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@final
class Continuing(BaseException):
    """What `continue_as_new` raises."""

    def __init__(self, payload: object) -> None:
        super().__init__("the flow begins anew")
        self.payload = payload


class Envelope(TypedDict, total=False):
    """What a request may be told beside its payload, as in `Emit`."""

    type: str | None
    to: str | None
    domain: DomainRule | tuple[DomainRule, ...]
    accesscontrol: str | None
    executionunits: float | None


# A value, or a function of the reply that gives one, or None where nothing is to be undone.
UndoOf = Callable[[T], object | None] | object


@overload
def ask(payload: object, /, *, undo: UndoOf[Any] = None, **said: Unpack[Envelope]) -> Flow[Any]: ...
@overload
def ask(
    payload: object, a: type[A], /, *, undo: UndoOf[A] = None, **said: Unpack[Envelope]
) -> Flow[A]: ...
@overload
def ask(
    payload: object,
    a: type[A],
    b: type[B],
    /,
    *,
    undo: UndoOf[A | B] = None,
    **said: Unpack[Envelope],
) -> Flow[A | B]: ...
@overload
def ask(
    payload: object,
    a: type[A],
    b: type[B],
    c: type[C],
    /,
    *,
    undo: UndoOf[A | B | C] = None,
    **said: Unpack[Envelope],
) -> Flow[A | B | C]: ...
@overload
def ask(
    payload: object,
    a: type[A],
    b: type[B],
    c: type[C],
    d: type[D],
    /,
    *more: type[E],
    undo: UndoOf[A | B | C | D | E] = None,
    **said: Unpack[Envelope],
) -> Flow[A | B | C | D | E]: ...
def ask(
    payload: object, /, *replies: type[Any], undo: Any = None, **said: Unpack[Envelope]
) -> Flow[Any]:
    """Send a request to a service and wait for its reply: `yield from ask(charge, CardCharged)`.

    *replies* are the classes of payload that the flow expects; another one is raised as
    `UnexpectedReply`, a system error as `ServiceFailed`. *payload* may be an `Emit`, without an id
    of its own; *said* are fields of one. *undo* is sent should the flow fail or be cancelled later:
    a payload counts from now on (the service may do its work though its reply never comes), a
    function of the reply once that has come; it gives a payload, or None where nothing is to be
    undone.
    """
    _check_classes("ask", replies)
    yield from _remember_before(undo)
    reply = yield Request(_request(payload, said), replies)
    yield from _remember_after(undo, reply)
    return reply


def call_workflow(
    contract: VersionedWorkflow[P, T],
    payload: P,
    /,
    *,
    undo: UndoOf[T] = None,
    **said: Unpack[Envelope],
) -> Flow[T]:
    """Begin a workflow on behalf of this one, and wait for what it completes with.

    *contract* is one of the flow's services. A failure of the child is raised as `ServiceFailed`;
    a cancellation of this workflow reaches it.
    """
    said["type"] = contract.type
    kind = contract.completed.type
    yield from _remember_before(undo)
    reply: T = yield Request(_request(payload, said), () if kind is None else (kind,))
    yield from _remember_after(undo, reply)
    return reply


def sleep(span: timedelta | float | None = None, /, *, until: datetime | None = None) -> Flow[None]:
    """Wait for a timedelta, or seconds, or *until* a datetime with an offset; durably."""
    yield _nap("sleep", span, until)


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
    *kinds: type[Any],
    where: Callable[[Any], bool] | None = None,
    deadline: timedelta | float | datetime | None = None,
) -> Flow[Any]:
    """Wait for a signal: an event of one of the flow's `signals`, whose payload is one of *kinds*.

    Signals that came before are waiting, oldest first; those that *where* says no to go on waiting
    for another. After *deadline* (a span, or a datetime) the answer is None.
    """
    if not kinds:
        issue = Issue("wait_for", "at least one class of payload", "none")
        raise Violated(ExecutionViolation("the flow waits for nothing", issue))
    _check_classes("wait_for", kinds)
    return (yield Listen(kinds, where, _deadline(deadline)))


def tell(payload: object, /, **said: Unpack[Envelope]) -> Flow[None]:
    """Send a request to a service and go on; its reply is not waited for."""
    yield Tell(_emit(payload, said))


def compensate_with(payload: object, /, **said: Unpack[Envelope]) -> Flow[None]:
    """Remember what undoes the step just taken, should the flow fail or be cancelled later."""
    yield Tell(Compensate(_emit(payload, said)))


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
    """Run flows side by side and wait for all; their results in the order given.

    An exception of one is raised here, and the others are ended. None of them may have begun.
    """
    return (yield Branches(flows))


@overload
def race(a: Flow[A], b: Flow[B], /) -> Flow[A | B]: ...
@overload
def race(a: Flow[A], b: Flow[B], c: Flow[C], /) -> Flow[A | B | C]: ...
@overload
def race(*flows: Flow[T]) -> Flow[T]: ...
def race(*flows: Flow[Any]) -> Flow[Any]:
    """Run flows side by side and wait for the first that is done, or raises.

    The others are ended: their timers are cleared, their children cancelled, and a late reply is
    nobody's. `race(ask(...), sleep(60))` is a request that may take a minute: None says it did not.
    """
    if not flows:
        issue = Issue("race", "at least one flow", "none")
        raise Violated(ExecutionViolation("nobody can win this race", issue))
    return (yield Branches(flows, first=True))


def fail(reason: str, *, name: str = "Fail") -> Never:
    """End the flow as failed, with a system error to whoever asked: `return fail("no stock")`."""
    raise Failing(reason, name)


def continue_as_new(payload: object) -> Never:
    """Begin the flow anew with another input: same workflow, an empty history.

    Timers and requests that are still open are nobody's then; signals that were not read, children
    that nobody waits for and undos are kept. `return continue_as_new(Page(n + 1))`.
    """
    raise Continuing(payload)


def _request(payload: object, said: Envelope) -> Emit:
    emit = _emit(payload, said)
    if emit.id is not None:
        # Its reply is found by an id that follows from the flow's history.
        issue = Issue("ask.id", "no id: that of a request is the flow's to give", short(emit.id))
        raise Violated(ExecutionViolation("the flow cannot wait for this", issue))
    return emit


def _emit(payload: object, said: Envelope) -> Emit:
    return evolve(payload, **said) if isinstance(payload, Emit) else Emit(payload, **said)


def _check_classes(what: str, kinds: tuple[object, ...]) -> None:
    for position, kind in enumerate(kinds):
        if not isinstance(kind, type):
            issue = Issue(f"{what}[{position}]", "a class", short(kind))
            raise Violated(ExecutionViolation("the flow waits for what is no payload", issue))


def _remember_before(undo: Any) -> Flow[None]:
    if undo is not None and not callable(undo):
        yield Tell(Compensate(undo))


def _remember_after(undo: Any, reply: Any) -> Flow[None]:
    due = undo(reply) if callable(undo) else None
    if due is not None:
        yield Tell(Compensate(due))


def _deadline(given: timedelta | float | datetime | None) -> Nap | None:
    if given is None:
        return None
    if isinstance(given, datetime):
        return _nap("wait_for", None, given)
    return _nap("wait_for", given, None)


def _nap(what: str, span: timedelta | float | None, until: datetime | None) -> Nap:
    if isinstance(span, int | float):
        span = timedelta(seconds=span)
    short_of = span is not None and span < timedelta()
    if (span is None) == (until is None) or short_of or (until and until.utcoffset() is None):
        expected = "seconds or a timedelta, not below 0, or a datetime with an offset"
        issue = Issue(what, expected, short(until if span is None else span))
        raise Violated(ExecutionViolation("the flow cannot wait for this", issue))
    return Nap(until, span)
