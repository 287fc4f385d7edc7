"""Orchestrator: a workflow led by statecharts, with one machine for each version."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeAlias, final

from attrs import field, frozen
from typing_extensions import TypeVar

from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.labels import Label, LabelFunction
from arvo.core.record import Record
from arvo.core.violations.arguments import check_list
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.effect import Retry
from arvo.handlers.event_handler import HandlerPolicy, OnError
from arvo.handlers.limit import Limit
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.persistence import load_snapshot
from arvo.handlers.resumable import WorkflowDomains
from arvo.handlers.services import NO_SERVICES, Services
from arvo.statechart.execution.snapshot import Snapshot

C = TypeVar("C", default=Any)

_DOMAINS: Final = WorkflowDomains()

# The state of a machine, under a name for modules that do not depend on statecharts.
MachineSnapshot: TypeAlias = Snapshot[C]


@final
@frozen(init=False)
class Orchestrator(Generic[C]):
    """The machines of one workflow, each for one version of its contract.

    A workflow stays on the version that its subject names. The machines need not cover all
    versions. Raises `Violated` for no machine, for machines of several contracts, and for two of
    one version. *executionunits*: the cost of each event whose emission sets none. *source*: the
    address of the workflow, and the source of its events, `arvo.orc.{name}`. *retry*,
    *on_error* and *limits*: see `HandlerPolicy`; a statechart waits for no effects, so it has no
    timeout. *labels*: a pure function from the snapshot to the labels by which lists select it.
    """

    contract: OrchestratorContract[Any, Any]
    machines: Mapping[str, Machine[C]]
    executionunits: float
    domains: WorkflowDomains
    policy: HandlerPolicy
    labels: LabelFunction | None
    source: str = field(init=False, repr=False, eq=False)

    @source.default
    def _default_source(self) -> str:
        return self.contract.type

    def __init__(
        self,
        machines: Iterable[Machine[C]],
        *,
        executionunits: float = 0,
        domains: WorkflowDomains = _DOMAINS,
        retry: Retry | None = None,
        on_error: OnError = "fail",
        limits: Iterable[Limit] = (),
        labels: Callable[[Snapshot[C]], Mapping[str, Label | None]] | None = None,
    ) -> None:
        check_list("machines", machines, "machines", of="an Orchestrator")
        all_machines = tuple(machines)
        issues = tuple(_find_issues(all_machines))
        if issues:
            raise Violated(ConfigViolation("the machines do not make one orchestrator", issues))
        contract: OrchestratorContract[Any, Any] = OrchestratorContract.of(
            machine.contract for machine in all_machines
        )
        by_version = {machine.version: machine for machine in all_machines}
        policy = HandlerPolicy(retry, on_error=on_error, limits=limits)
        self.__attrs_init__(contract, by_version, executionunits, domains, policy, labels)

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that have a machine."""
        return tuple(self.machines)

    def services_of(self, version: str) -> Services:
        """Return the contracts that the machine of a version calls."""
        machine = self.machines.get(version)
        return NO_SERVICES if machine is None else machine.services

    def signals_of(self, version: str) -> Services:
        """Return the contracts whose events the machine of a version may receive as signals."""
        machine = self.machines.get(version)
        return NO_SERVICES if machine is None else machine.signals

    def query(self, record: Record) -> Snapshot[C]:
        """Return the snapshot of a workflow: state value, context, tags, timers.

        It changes nothing. Raises `Violated` if there is no machine of the record's version, or if
        that machine cannot load the record.
        """
        machine = self.machines.get(record.version)
        if record.handler != self.source or machine is None:
            expected = f"{self.source} in {', '.join(self.versions)}"
            issue = Issue("record", expected, f"{record.handler} in {record.version}")
            raise Violated(ConfigViolation("no machine leads this workflow", issue))
        snapshot = load_snapshot(machine, record)
        if not isinstance(snapshot, Snapshot):
            raise Violated(snapshot)
        return snapshot


def _find_issues(machines: tuple[Machine[Any], ...]) -> Iterator[Issue]:
    if not machines:
        yield Issue("machines", "at least one machine", "none")
        return
    unchecked: tuple[object, ...] = machines
    invalid = [n for n, value in enumerate(unchecked) if not isinstance(value, Machine)]
    yield from (Issue(f"machines[{n}]", "a Machine", short_repr(unchecked[n])) for n in invalid)
    if invalid:
        return
    first = machines[0].contract
    positions: dict[str, int] = {}
    for position, contract in enumerate(machine.contract for machine in machines):
        path = f"machines[{position}]"
        if (contract.uri, contract.type) != (first.uri, first.type):
            expected = f"a version of {first.uri} ({first.type})"
            yield Issue(path, expected, f"{contract.uri} ({contract.type})")
        elif contract.version in positions:
            got = f"{contract.version}, the version of machines[{positions[contract.version]}]"
            yield Issue(path, "a version of its own", got)
        positions.setdefault(contract.version, position)
