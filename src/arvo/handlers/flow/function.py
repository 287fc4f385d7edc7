"""Workflow: a workflow's contract and its flow, made from an annotated generator function."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import update_wrapper
from typing import Any, Protocol, TypeVar, final

from attrs import frozen

from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.version_spec import Workflow
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.labels import Label
from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.annotations import describe_function, read_signature
from arvo.handlers.effect import Retry
from arvo.handlers.event_handler import OnError
from arvo.handlers.flow.handler import FlowHandler, flow
from arvo.handlers.flow.operations import Flow
from arvo.handlers.limit import Limit
from arvo.handlers.service import FIRST_VERSION, uri_of
from arvo.handlers.services import ServiceSpec

A = TypeVar("A")
C = TypeVar("C")


@final
@frozen(kw_only=True, eq=False)
class WorkflowFunction(FlowHandler[A, C]):
    """A flow handler made by `workflow`: the function, its contract and its earlier versions.

    It is called as the *function* is, also by another flow: `yield from approve(request)`.
    *version* is the version of the contract that the function runs; `approve["1.0.0"]` is one
    version, with `init` among its event factories.
    """

    function: Callable[[A], Flow[C]]
    version: str

    def __call__(self, request: A) -> Flow[C]:
        """Call the function; return its generator."""
        return self.function(request)

    def __getitem__(self, version: str) -> VersionedWorkflow[A, C]:
        return self.contract.version(version)

    @property
    def declared(self) -> VersionedWorkflow[A, C]:
        """The version of the contract that the function runs."""
        return self.contract.version(self.version)


class _Decorator(Protocol):
    def __call__(self, function: Callable[[A], Flow[C]], /) -> WorkflowFunction[A, C]: ...


def workflow(
    name: str,
    version: str = FIRST_VERSION,
    *,
    services: Sequence[ServiceSpec] = (),
    signals: Sequence[ServiceSpec] = (),
    executionunits: float = 0,
    retry: Retry | None = None,
    timeout: timedelta | float | None = None,
    on_error: OnError = "fail",
    limits: Iterable[Limit] = (),
    labels: Callable[[Any], Mapping[str, Label | None]] | None = None,
    earlier: WorkflowFunction[Any, Any] | None = None,
) -> _Decorator:
    """Make an annotated generator function a workflow: its contract and its handler.

    It is written so::

        @workflow("loan.approve", services=[check, store])
        def approve(request: LoanRequest) -> Flow[Approved | Rejected]:
            scored = yield from ask(check, CheckCredit(request.name))

    The function takes the payload that begins the workflow, and returns the payload that completes
    it: one of several where the workflow has several outcomes. What it must not do, `flow`
    explains. *name* is that of the `OrchestratorContract`, whose uri is `#/arvo/orc/loan/approve`.
    *services* and *signals* are decorated functions, or versions of contracts. *executionunits*:
    the cost of its events. *retry*, *timeout*, *on_error* and *limits*: see `HandlerPolicy`.
    *labels*: see `flow`. *earlier*: the workflow to which this version is added. The first
    paragraph of its docstring describes the contract. Raises `Violated` for annotations that name
    no payload classes, and as `flow` does.
    """

    check_argument("version", version, str, "a version: '1.0.0'", of="workflow")
    expected = "a function that `workflow` decorates"
    check_argument("earlier", earlier, WorkflowFunction | None, expected, of="workflow")

    def decorate(function: Callable[[Any], Flow[Any]]) -> WorkflowFunction[Any, Any]:
        signature = read_signature("workflow", function)
        if not signature.returns:
            expected = (
                "a payload class, as Flow[Approved], or several, as Flow[Approved | Rejected]"
            )
            issue = Issue(f"{function.__qualname__} ->", expected, "none")
            raise Violated(ConfigViolation("workflow cannot read this function", issue))
        contract: OrchestratorContract[Any, Any] = OrchestratorContract(
            uri=uri_of(f"arvo.orc.{name}"),
            name=name,
            description=describe_function(function),
            versions={version: Workflow(init=signature.accepts, complete=signature.returns)},
        )
        if earlier is not None:
            contract = OrchestratorContract.of(
                [*earlier.contract.versions.values(), contract[version]]
            )
        made = flow(
            contract,
            version,
            services=services,
            signals=signals,
            executionunits=executionunits,
            retry=retry,
            timeout=timeout,
            on_error=on_error,
            limits=limits,
            labels=labels,
        )(_on_event(function))
        return WorkflowFunction(
            contract=contract,
            flow_versions={
                **({} if earlier is None else earlier.flow_versions),
                **made.flow_versions,
            },
            executionunits=executionunits,
            policy=made.policy,
            labels=labels,
            function=function,
            version=version,
        )

    return decorate


def _on_event(function: Callable[[Any], Flow[Any]]) -> Callable[[Event[Any]], Flow[Any]]:
    """Return the function of a flow handler that calls *function* with the payload of its event."""

    def start(event: Event[Any]) -> Flow[Any]:
        return function(event.data)

    return update_wrapper(start, function)
