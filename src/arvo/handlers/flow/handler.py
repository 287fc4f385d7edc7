"""FlowHandler: a workflow written straight down, as a generator that asks and waits."""

from collections.abc import Callable, Mapping, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, Final, Generic, TypeVar, final

from attrs import Factory, field, frozen

from arvo.core.contracts.specialised import OrchestratorContract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.flow.cache import Live
from arvo.handlers.flow.execution import FlowVersion
from arvo.handlers.flow.operations import Flow
from arvo.handlers.flow.replay import FlowView, replayed
from arvo.handlers.resumable import WorkflowDomains
from arvo.handlers.services import check_services, check_signals

A = TypeVar("A")
C = TypeVar("C")

DOMAINS: Final = WorkflowDomains()


@final
@frozen(kw_only=True)
class FlowHandler(Generic[A, C]):
    """Generators that carry a workflow on, one for each version; made by `flow`.

    A flow is resumed by telling it again what it was told; the generators of the workflows that
    were under way last are kept, so that the next step need not.
    """

    contract: OrchestratorContract[A, C]
    parts: Mapping[str, FlowVersion]
    executionunits: float = 0
    domains: WorkflowDomains = DOMAINS
    live: Live = field(init=False, repr=False, eq=False, default=Factory(Live))

    @property
    def source(self) -> str:
        """The address it answers at, and the source of its events: `arvo.orc.{name}`."""
        return self.contract.type

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that it has a function for."""
        return tuple(self.parts)

    def services_of(self, version: str) -> tuple[VersionedContract[Any], ...]:
        """The contracts that a version of it asks."""
        part = self.parts.get(version)
        return () if part is None else part.services

    def signals_of(self, version: str) -> tuple[VersionedContract[Any], ...]:
        """The contracts whose events may come to a version of it."""
        part = self.parts.get(version)
        return () if part is None else part.signals

    def query(self, record: Record) -> FlowView:
        """Tell where a workflow stands; its journal is replayed to find out.

        Raises `Violated` where the function no longer does what it did.
        """
        part = self.parts.get(record.version)
        if part is None:
            issue = Issue("record.version", f"one of {', '.join(self.parts)}", record.version)
            raise Violated(ConfigViolation(f"{self.source} has no such version", issue))
        progress = replayed(self.contract, part, record)
        frame = getattr(progress.track.root and progress.track.root.generator, "gi_frame", None)
        variables = {} if frame is None else dict(frame.f_locals)
        waiting = tuple(progress.asked.values())
        progress.track.close()
        return FlowView(waiting, FrozenDict(variables), len(progress.signals))


def flow(
    contract: OrchestratorContract[A, C],
    version: str,
    *,
    services: Sequence[VersionedContract[Any]] = (),
    signals: Sequence[VersionedContract[Any]] = (),
    executionunits: float = 0,
    domains: WorkflowDomains = DOMAINS,
) -> Callable[[Callable[[Event[A]], Flow[C]]], FlowHandler[A, C]]:
    """Make a generator function the handler of one version of a workflow.

    The function takes the event that begins the workflow, asks and waits by `yield from`, and
    returns what the workflow completes with. It must do the same each time it is told the same: I/O
    goes into `call`. *services*: one version each of the contracts it asks. *signals*: versions of
    the contracts whose events may come to it from outside. *executionunits*: the cost that its
    events carry where an emission says none. Several versions are joined by `flows`. An async
    function, an unknown version and contracts that do not go together are refused with `Violated`.
    """

    def decorate(function: Callable[[Event[A]], Flow[C]]) -> FlowHandler[A, C]:
        given: object = contract
        if not isinstance(given, OrchestratorContract):
            issue = Issue("contract", "an OrchestratorContract", short(given))
            raise Violated(ConfigViolation("this flow cannot be", issue))
        if version not in contract.versions:
            known = ", ".join(contract.sorted_versions)
            issue = Issue("version", f"one of {known}", repr(version))
            raise Violated(ConfigViolation(f"{contract.uri} has no such version", issue))
        if iscoroutinefunction(function) or isasyncgenfunction(function):
            issue = Issue("function", "a generator function, and I/O by `call`", "an async one")
            raise Violated(ConfigViolation("this flow cannot be", issue))
        check_services(contract, services)
        check_signals(contract, services, signals)
        part = FlowVersion(function, tuple(services), tuple(signals))
        return FlowHandler(
            contract=contract,
            parts={version: part},
            executionunits=executionunits,
            domains=domains,
        )

    return decorate


def flows(first: FlowHandler[A, C], *more: FlowHandler[A, C]) -> FlowHandler[A, C]:
    """Join the versions of one flow, to stand side by side at its address.

    Raises `Violated` where two are of different contracts, or of one version. Costs and domains are
    the first one's.
    """
    issues: list[Issue] = []
    parts = dict(first.parts)
    for position, other in enumerate(more, start=1):
        if other.contract != first.contract:
            issue = Issue(
                f"flows[{position}]", f"a flow of {first.contract.uri}", other.contract.uri
            )
            issues.append(issue)
        issues += (
            Issue(f"flows[{position}]", "a version of its own", version)
            for version in other.parts
            if version in parts
        )
        parts |= other.parts
    if issues:
        raise Violated(ConfigViolation("these flows cannot stand side by side", tuple(issues)))
    return FlowHandler(
        contract=first.contract,
        parts=parts,
        executionunits=first.executionunits,
        domains=first.domains,
    )
