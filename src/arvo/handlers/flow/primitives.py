"""Primitives: the requests, commands and endings that a flow's function is written with."""

from collections.abc import Callable
from typing import Any, Never, Protocol, TypedDict, TypeVar, Unpack, overload

from attrs import evolve

from arvo.core.command import Compensate, Emit, Fail
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.domain import DomainRule
from arvo.core.events.identity import IdReusePolicy
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.flow.errors import ContinueAsNew, FlowFailed
from arvo.handlers.flow.operations import Flow, IssueCommand, Request
from arvo.handlers.generators import Undriven
from arvo.handlers.service import Service
from arvo.handlers.services import declared_version

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
T = TypeVar("T")
P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)


class EventOptions(TypedDict, total=False):
    """The options of a request beside its payload, as in `Emit`.

    *workflow_id* and *id_reuse_policy* are for a request that begins a workflow.
    """

    type: str | None
    to: str | None
    domain: DomainRule | tuple[DomainRule, ...]
    accesscontrol: str | None
    executionunits: float | None
    workflow_id: str | None
    id_reuse_policy: IdReusePolicy | None


# A payload, or a function of the reply that returns a payload, or None for no compensation.
CompensationFor = Callable[[T], object | None] | object


@overload
def ask(
    service: Service[P, T, Any],
    payload: P,
    /,
    *,
    compensate: CompensationFor[T] = None,
    **options: Unpack[EventOptions],
) -> Flow[T]: ...
@overload
def ask(
    payload: object,
    /,
    *,
    compensate: CompensationFor[Any] = None,
    **options: Unpack[EventOptions],
) -> Flow[Any]: ...
@overload
def ask(
    payload: object,
    a: type[A],
    /,
    *,
    compensate: CompensationFor[A] = None,
    **options: Unpack[EventOptions],
) -> Flow[A]: ...
@overload
def ask(
    payload: object,
    a: type[A],
    b: type[B],
    /,
    *,
    compensate: CompensationFor[A | B] = None,
    **options: Unpack[EventOptions],
) -> Flow[A | B]: ...
@overload
def ask(
    payload: object,
    a: type[A],
    b: type[B],
    c: type[C],
    /,
    *,
    compensate: CompensationFor[A | B | C] = None,
    **options: Unpack[EventOptions],
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
    compensate: CompensationFor[A | B | C | D | E] = None,
    **options: Unpack[EventOptions],
) -> Flow[A | B | C | D | E]: ...
def ask(
    payload: Any, /, *replies: Any, compensate: Any = None, **options: Unpack[EventOptions]
) -> Flow[Any]:
    """Send a request and wait for its reply: `scored = yield from ask(check, CheckCredit("ann"))`.

    *check* is a function that `service` decorates. With any other contract it is
    `ask(CheckCredit("ann"), CreditScored)`, where *replies* are the payload classes that the flow
    expects. Another reply is raised as `UnexpectedReply`, a system error as `ServiceFailed`.
    *payload* may be an `Emit` without an id; *options* are fields of an `Emit`. *compensate* is the
    request that reverses this one. It is
    sent if the flow fails or is cancelled later. A payload is registered before the request is
    sent, because the service may do its work although its reply never arrives. A function of the
    reply is called when the reply has arrived; it returns a payload, or None for no compensation.
    """
    return _ask(payload, replies, compensate, options, Undriven("ask"))


class WorkflowVersion(Protocol[P_contra, T_co]):
    """A function that `workflow` decorates."""

    @property
    def declared(self) -> VersionedWorkflow[Any, Any]:
        """The version of the contract that it runs."""
        ...

    def __call__(self, request: P_contra, /) -> Flow[T_co]:
        """Run the function as a part of this flow."""
        ...


def call_workflow(
    contract: VersionedWorkflow[P, T] | WorkflowVersion[P, T],
    payload: P,
    /,
    *,
    compensate: CompensationFor[T] = None,
    **options: Unpack[EventOptions],
) -> Flow[T]:
    """Start a child workflow and wait for the payload that it completes with.

    *contract* is one of the flow's services, or a function that `workflow` decorates. A failure of
    the child is raised as `ServiceFailed`. A cancellation of this workflow cancels the child.
    *compensate* and *options* are those of `ask`.
    """
    return _call_workflow(contract, payload, compensate, options, Undriven("call_workflow"))


def tell(payload: object, /, **options: Unpack[EventOptions]) -> Flow[None]:
    """Send a request to a service, or the answer to a signal, and continue without waiting.

    An answer is a payload that the contract of a signal emits. It goes to the sender of the signal
    of that contract that `wait_for` returned last.
    """
    return _issue(Emit, payload, options, Undriven("tell"))


def compensate_with(payload: object, /, **options: Unpack[EventOptions]) -> Flow[None]:
    """Register a compensation: a request that is sent if the flow fails or is cancelled later."""
    return _issue(Compensate, payload, options, Undriven("compensate_with"))


def fail(reason: str, *, name: str = "Fail", executionunits: float | None = None) -> Never:
    """Fail the workflow, with a system error to the caller: `return fail("no stock")`.

    *executionunits*: the cost of the system error, by default that of the workflow.
    """
    raise FlowFailed(Fail(reason, name=name, executionunits=executionunits))


def continue_as_new(payload: object) -> Never:
    """Start the flow again with another input: the same workflow, with an empty history.

    The flow no longer waits for its open timers and requests. Unread signals, running children and
    registered compensations are retained. `return continue_as_new(Page(n + 1))`.
    """
    raise ContinueAsNew(payload)


def check_classes(primitive: str, classes: tuple[object, ...]) -> None:
    """Raise `Violated` for an argument of *primitive* that is no class."""
    for position, candidate in enumerate(classes):
        if not isinstance(candidate, type) and not is_payload_class(candidate):
            issue = Issue(f"{primitive}[{position}]", "a class", short_repr(candidate))
            raise Violated(ExecutionViolation("the flow waits for a payload of no class", issue))


def _of_service(
    service: Service[Any, Any, Any], arguments: tuple[Any, ...], options: EventOptions
) -> tuple[Any, tuple[type[Any], ...]]:
    """Return the payload of a request to a decorated function, and the classes of its replies."""
    accepted = service.declared.accepted
    is_class = accepted.type is not None
    if len(arguments) != 1 or (is_class and type(arguments[0]) not in accepted.instance_types):
        name = accepted.name if is_class else "payload"
        issue = Issue("ask", f"the service and its {name}", short_repr(arguments))
        raise Violated(ExecutionViolation("the flow asks for something else than it may", issue))
    replies = tuple(kind for payload in service.declared.emitted.values() for kind in payload.types)
    if not replies:
        issue = Issue("ask", "a service that answers; tell() waits for no reply", service.source)
        raise Violated(ExecutionViolation("the flow waits for no reply", issue))
    options["type"] = service.source
    return arguments[0], replies


def _ask(
    payload: Any,
    replies: tuple[Any, ...],
    compensate: Any,
    options: EventOptions,
    undriven: Undriven,
) -> Flow[Any]:
    undriven.start()
    if isinstance(payload, Service):
        payload, replies = _of_service(payload, replies, options)
    check_classes("ask", replies)
    if compensate is None:
        return (yield Request(_request(payload, options), replies))
    yield from _register_payload(compensate)
    reply = yield Request(_request(payload, options), replies)
    yield from _register_function(compensate, reply)
    return reply


def _call_workflow(
    contract: Any, payload: object, compensate: Any, options: EventOptions, undriven: Undriven
) -> Flow[Any]:
    undriven.start()
    started: VersionedWorkflow[Any, Any] = declared_version(contract)
    options["type"] = started.type
    yield from _register_payload(compensate)
    reply = yield Request(_request(payload, options), started.completed.types)
    yield from _register_function(compensate, reply)
    return reply


def _issue(
    kind: type[Emit | Compensate], payload: object, options: EventOptions, undriven: Undriven
) -> Flow[None]:
    undriven.start()
    emit = _emit(payload, options)
    yield IssueCommand(emit if kind is Emit else Compensate(emit))


def _request(payload: object, options: EventOptions) -> Emit:
    emit = _emit(payload, options)
    if emit.id is not None:
        # The reply is matched by an id that is derived from the flow's history.
        issue = Issue("ask.id", "no id: the flow assigns the id of a request", short_repr(emit.id))
        raise Violated(ExecutionViolation("the flow cannot wait for this", issue))
    return emit


def _emit(payload: object, options: EventOptions) -> Emit:
    return evolve(payload, **options) if isinstance(payload, Emit) else Emit(payload, **options)


def _register_payload(compensate: Any) -> Flow[None]:
    if compensate is not None and not callable(compensate):
        yield IssueCommand(Compensate(compensate))


def _register_function(compensate: Any, reply: Any) -> Flow[None]:
    payload = compensate(reply) if callable(compensate) else None
    if payload is not None:
        yield IssueCommand(Compensate(payload))
