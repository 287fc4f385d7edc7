"""Orchestrator: a workflow led by statecharts, one machine for each version."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeAlias, final

from attrs import frozen
from typing_extensions import TypeVar

from arvo.core.contracts.specialised import OrchestratorContract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.persistence import recall
from arvo.handlers.resumable import WorkflowDomains
from arvo.statechart.execution.snapshot import Snapshot

C = TypeVar("C", default=Any)

_DOMAINS: Final = WorkflowDomains()

# Where a machine is, by this name for rooms that know no statecharts.
Whereabouts: TypeAlias = Snapshot[C]


@final
@frozen(init=False)
class Orchestrator(Generic[C]):
    """Machines that lead a workflow, each one version of its contract (reference F152).

    A workflow stays on the version that its subject names (F153). Machines may be of some versions
    only; no machine, machines of several contracts, and two of one version are refused with
    `Violated`. *executionunits*: the cost that its events carry where an emission says none.
    """

    contract: OrchestratorContract[Any, Any]
    machines: Mapping[str, Machine[C]]
    executionunits: float
    domains: WorkflowDomains

    def __init__(
        self,
        machines: Iterable[Machine[C]],
        *,
        executionunits: float = 0,
        domains: WorkflowDomains = _DOMAINS,
    ) -> None:
        given = tuple(machines)
        issues = tuple(_misfits(given))
        if issues:
            raise Violated(ConfigViolation("these machines do not make an orchestrator", issues))
        contract = OrchestratorContract.of(machine.contract for machine in given)
        by_version = {machine.version: machine for machine in given}
        self.__attrs_init__(contract, by_version, executionunits, domains)

    @property
    def source(self) -> str:
        """The address it answers at, and the source of its events: `arvo.orc.{name}`."""
        return self.contract.type

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that it has a machine for."""
        return tuple(self.machines)

    def services_of(self, version: str) -> tuple[VersionedContract[Any], ...]:
        """The contracts that the machine of a version asks."""
        machine = self.machines.get(version)
        return () if machine is None else machine.services

    def signals_of(self, version: str) -> tuple[VersionedContract[Any], ...]:
        """The contracts whose events may come to the machine of a version."""
        machine = self.machines.get(version)
        return () if machine is None else machine.signals

    def query(self, record: Record) -> Snapshot[C]:
        """Look at where a workflow is: state value, context, tags, timers. Changes nothing.

        Raises `Violated` where there is no machine of its version, or one that cannot take up what
        is remembered.
        """
        machine = self.machines.get(record.version)
        if record.handler != self.source or machine is None:
            expected = f"{self.source} in {', '.join(self.versions)}"
            issue = Issue("record", expected, f"{record.handler} in {record.version}")
            raise Violated(ConfigViolation("no machine leads this workflow", issue))
        found = recall(machine, record)
        if not isinstance(found, Snapshot):
            raise Violated(found)
        return found


def _misfits(machines: tuple[Machine[Any], ...]) -> Iterator[Issue]:
    if not machines:
        yield Issue("machines", "at least one machine", "none")
        return
    kinds: tuple[object, ...] = machines
    strangers = [at for at, given in enumerate(kinds) if not isinstance(given, Machine)]
    yield from (Issue(f"machines[{at}]", "a Machine", short(kinds[at])) for at in strangers)
    if strangers:
        return
    first = machines[0].contract
    seen: dict[str, int] = {}
    for at, contract in enumerate(machine.contract for machine in machines):
        if (contract.uri, contract.type) != (first.uri, first.type):
            expected = f"a version of {first.uri} ({first.type})"
            yield Issue(f"machines[{at}]", expected, f"{contract.uri} ({contract.type})")
        elif contract.version in seen:
            got = f"{contract.version}, as machines[{seen[contract.version]}] has"
            yield Issue(f"machines[{at}]", "a version of its own", got)
        seen.setdefault(contract.version, at)
