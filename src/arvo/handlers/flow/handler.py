"""FlowHandler: a workflow written as a generator function, and the flows that run now."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar, final

from attrs import Factory, define, field, frozen

from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.core.labels import Label, LabelFunction
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, ContractViolation, Violated
from arvo.handlers.annotations import function_issues, returned_classes
from arvo.handlers.composed import display_name
from arvo.handlers.effect import Retry
from arvo.handlers.event_handler import DEFAULT_POLICY, HandlerPolicy, OnError
from arvo.handlers.flow.execution import FlowExecution
from arvo.handlers.flow.operations import Flow
from arvo.handlers.flow.replay import FlowView, first_event, replay_flow
from arvo.handlers.flow.version import FlowVersion
from arvo.handlers.limit import Limit
from arvo.handlers.resumable import WorkflowDomains
from arvo.handlers.services import (
    NO_SERVICES,
    Services,
    ServiceSpec,
    read_services,
)

A = TypeVar("A")
C = TypeVar("C")

DOMAINS: Final = WorkflowDomains()


# A generator and its frames take some kilobytes.
FLOWS_MAX: Final = 1_000


@final
@define(eq=False)
class FlowCache:
    """Idle flows by subject; the least recently used is evicted.

    The cache only saves time: on a miss, the journal is replayed. A flow leaves the cache for the
    duration of its turn, so that no other turn sees it half-way.
    """

    _flows: OrderedDict[str, FlowExecution] = field(factory=OrderedDict)

    def pop(self, subject: str) -> FlowExecution | None:
        """Remove and return the flow of a subject; None if it is not cached."""
        return self._flows.pop(subject, None)

    def put(self, subject: str, execution: FlowExecution) -> None:
        """Cache a flow for its next turn."""
        self._flows[subject] = execution
        if len(self._flows) > FLOWS_MAX:
            _, oldest = self._flows.popitem(last=False)
            oldest.scheduler.close()

    def clear(self) -> None:
        """Close and remove all flows."""
        while self._flows:
            _, execution = self._flows.popitem()
            execution.scheduler.close()

    def __len__(self) -> int:
        return len(self._flows)


@frozen(kw_only=True)
class FlowHandler(Generic[A, C]):
    """Generator functions of a workflow, one for each version; made by `flow`.

    A flow is resumed by a replay of its journal. The *cache* holds the generators of recently
    active workflows, so that their next step needs no replay.
    """

    contract: OrchestratorContract[A, C]
    flow_versions: Mapping[str, FlowVersion]
    executionunits: float = 0
    domains: WorkflowDomains = DOMAINS
    policy: HandlerPolicy = DEFAULT_POLICY
    labels: LabelFunction | None = None
    cache: FlowCache = field(init=False, repr=False, eq=False, default=Factory(FlowCache))
    source: str = field(init=False, repr=False, eq=False)

    @source.default
    def _default_source(self) -> str:
        return self.contract.type

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that have a function."""
        return tuple(self.flow_versions)

    def services_of(self, version: str) -> Services:
        """The services of a version."""
        flow_version = self.flow_versions.get(version)
        return NO_SERVICES if flow_version is None else flow_version.services

    def signals_of(self, version: str) -> Services:
        """The signals of a version."""
        flow_version = self.flow_versions.get(version)
        return NO_SERVICES if flow_version is None else flow_version.signals

    def new_input(self, version: str, payload: object, parent: object) -> tuple[Any, FrozenDict]:
        """Return the input of a flow that continues as new: the payload as it is read, and as JSON.

        *parent*: the subject of the parent workflow, which the input carries on. Raises `Violated`
        where the contract does not accept the payload.
        """
        accepted = self.contract.version(version).accepted
        json = accepted.write(payload, extra={PARENT_SUBJECT: parent}, path="continue_as_new")
        if isinstance(json, Issues):
            message = f"{self.source} cannot continue with this payload"
            raise Violated(ContractViolation(message, json))
        data = accepted.read(json)
        assert not isinstance(data, Issues)
        raw = freeze_unchecked(json)
        assert isinstance(raw, FrozenDict)
        return (raw if accepted.type is None else data), raw

    def read_input(self, record: Record) -> Any:
        """Return the payload that a workflow began with, or continued as new with.

        Raises `Violated` where the contract does not accept it any more.
        """
        return first_event(self.contract, record).data

    def query(self, record: Record) -> FlowView:
        """Return a workflow's progress, which takes a replay of its journal.

        Raises `Violated` where the function does not match the journal.
        """
        flow_version = self.flow_versions.get(record.version)
        if flow_version is None:
            issue = Issue(
                "record.version", f"one of {', '.join(self.flow_versions)}", record.version
            )
            raise Violated(ConfigViolation(f"{self.source} has no such version", issue))
        execution = replay_flow(self.contract, flow_version, record)
        root = execution.scheduler.root
        frame = None if root is None else getattr(root.generator, "gi_frame", None)
        variables = {} if frame is None else dict(frame.f_locals)
        waiting = tuple(execution.descriptions.values())
        line = None if frame is None else frame.f_lineno
        execution.scheduler.close()
        return FlowView(waiting, FrozenDict(variables), len(execution.signals), line)


def flow(
    contract: OrchestratorContract[A, C],
    version: str,
    *,
    services: Sequence[ServiceSpec] = (),
    signals: Sequence[ServiceSpec] = (),
    executionunits: float = 0,
    domains: WorkflowDomains = DOMAINS,
    retry: Retry | None = None,
    timeout: timedelta | float | None = None,
    on_error: OnError = "fail",
    limits: Iterable[Limit] = (),
    labels: Callable[[A], Mapping[str, Label | None]] | None = None,
) -> Callable[[Callable[[Event[A]], Flow[C]]], FlowHandler[A, C]]:
    """Make a generator function the handler of one version of a workflow.

    The function receives the event that begins the workflow, performs its operations by
    `yield from`, and returns the payload that completes the workflow. It must be deterministic: the
    same answers lead to the same operations, and I/O goes into `call`. *services*: one version of
    each contract that it sends requests to. *signals*: versions of the contracts whose events it
    accepts from outside. *executionunits*: the cost of its events where an `Emit` names none.
    *retry*, *timeout*, *on_error* and *limits*: see `HandlerPolicy`. *labels*: a pure function from
    the payload that the flow began with to the labels by which lists select it.
    `flows` joins several versions. Raises `Violated` for an async function, an unknown version, and
    services or signals that do not fit the contract.
    """

    def decorate(function: Callable[[Event[A]], Flow[C]]) -> FlowHandler[A, C]:
        _check_flow(contract, version, function)
        called, received = read_services(contract, services, signals)
        return FlowHandler(
            contract=contract,
            flow_versions={version: FlowVersion(function, called, received)},
            executionunits=executionunits,
            domains=domains,
            policy=HandlerPolicy(retry, timeout, on_error, limits),
            labels=labels,
        )

    return decorate


def _check_flow(contract: object, version: object, function: object) -> None:
    if not isinstance(contract, OrchestratorContract):
        issue = Issue("contract", "an OrchestratorContract", short_repr(contract))
        raise Violated(ConfigViolation("the flow is invalid", issue))
    if not isinstance(version, str) or version not in contract.versions:
        known = ", ".join(contract.sorted_versions)
        issue = Issue("version", f"one of {known}", repr(version))
        raise Violated(ConfigViolation(f"{contract.uri} has no such version", issue))
    issues = function_issues("function", function, "the event that begins the workflow")
    if not issues:
        issues = _wrong_returns(contract, version, function)
    if issues:
        raise Violated(ConfigViolation("the flow is invalid", tuple(issues)))


def _wrong_returns(
    contract: OrchestratorContract[Any, Any], version: str, function: Any
) -> list[Issue]:
    """Return the classes of the return annotation with which the workflow cannot complete."""
    completed = contract.version(version).completed
    permitted = completed.types or (completed.type,)
    if permitted == (None,):
        return []
    expected = " or ".join(display_name(it) for it in permitted)
    return [
        Issue("function ->", f"{expected}, the outcome by {contract.uri}", display_name(returned))
        for returned in returned_classes(function)
        if returned not in permitted
    ]


def flows(first: FlowHandler[A, C], *more: FlowHandler[A, C]) -> FlowHandler[A, C]:
    """Join the versions of one flow into one handler.

    Execution units, domains, policy and labels are those of the first. Raises `Violated` where the
    contracts differ, or where a version occurs twice.
    """
    issues: list[Issue] = []
    joined = dict(first.flow_versions)
    for position, other in enumerate(more, start=1):
        if other.contract != first.contract:
            issue = Issue(
                f"flows[{position}]", f"a flow of {first.contract.uri}", other.contract.uri
            )
            issues.append(issue)
        issues += (
            Issue(f"flows[{position}]", "a version of its own", version)
            for version in other.flow_versions
            if version in joined
        )
        joined |= other.flow_versions
    if issues:
        raise Violated(ConfigViolation("invalid versions of a flow", tuple(issues)))
    return FlowHandler(
        contract=first.contract,
        flow_versions=joined,
        executionunits=first.executionunits,
        domains=first.domains,
        policy=first.policy,
        labels=first.labels,
    )
