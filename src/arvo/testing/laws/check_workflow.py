"""Check workflow: search the histories of a workflow for one that breaks a law."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.payloads.payload import Payload
from arvo.core.violations.violation import Violation
from arvo.engine.system.handler import Handler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.handlers.flow.errors import CallFailed, ServiceFailed
from arvo.testing.laws.effect_stubs import EffectFailed, EffectSubstitutes
from arvo.testing.laws.environment import service_contracts, workflow_handlers
from arvo.testing.laws.processes.other_processes import start_processes
from arvo.testing.laws.report import CheckReport
from arvo.testing.laws.run_checks import RunChecks
from arvo.testing.laws.scenario import Scenario
from arvo.testing.laws.search import BUDGET
from arvo.testing.laws.workflow_check import WorkflowCheck
from arvo.testing.laws.workflow_laws import WorkflowLaws
from arvo.testing.strategies.payloads import payloads
from arvo.testing.strategies.replies import behaviours
from arvo.testing.strategies.strategies import accepted_events

# Moves and signals in one scenario.
MOVES_MAX: Final = 8
SIGNALS_MAX: Final = 2

LAWS: Final = ("redelivery", "total", "rest", "race", "order", "cancellation", "migration")
"""The laws of `check_workflow`, in the order in which it checks them."""

# Exceptions that a workflow need not handle: a service or an effect has failed, not the workflow.
_EXPECTED_EXCEPTIONS: Final = (EffectFailed, CallFailed, ServiceFailed)


def check_workflow(
    system: System | Handler,
    contract: VersionedWorkflow[Any, Any] | None = None,
    *,
    events: SearchStrategy[Event[Any]] | None = None,
    effects: EffectSubstitutes | None = None,
    migrate_to: str | None = None,
    migrate_state: Callable[[Any], Any] | None = None,
    once: Collection[type[Any] | str] = (),
    ordered: Collection[tuple[str, str]] = (),
    may_raise: Collection[type[Exception]] = (),
    may_violate: Collection[type[Violation]] = (),
    laws: Collection[str] = LAWS,
    settings: hypothesis.settings = BUDGET,
) -> CheckReport:
    """Search for a history in which a workflow breaks a law, and return how much was tried.

    Raises `LawViolated` with the shortest history found. Raises `NotChecked` if too few histories
    can be drawn, with the fields and their keywords, if the workflow takes no step in any of them,
    if a law that *laws* names has no case, and if a run requests nothing that *once* lists.

    *system*: the workflow and its children. Services reply with anything that their contracts
    permit, so their handlers do not run. *contract*: the version to start; by default the latest
    version of the only workflow.

    The laws, by name:

    - `redelivery`: a redelivered event has the same result, also on a worker that has just started,
      and in a process with another hash seed.
    - `total`: no reply that a contract permits makes the workflow raise or violate.
    - `rest`: the workflow ends, or waits for an event that can come.
    - `race`: timers, replies and signals may come in any order, and a request that *once* lists
      (payload classes or event types) is sent at most once.
    - `order`: the order of two pending replies does not change the end, except for the pairs of
      event types in *ordered*.
    - `cancellation`: cancelling at any point leaves nothing running.
    - `migration`: any active run can be migrated to *migrate_to* with *migrate_state* (see
      `migrate`), and it continues there.

    *events*: events that start the workflow, by default all that the contract accepts. *effects*,
    *may_raise* and *may_violate* are as in `check_handler`. *laws*: the names of the laws to check.
    *settings*: settings of Hypothesis.
    """
    __tracebackhide__ = True
    whole = System(
        system.handlers if isinstance(system, System) else [system],
        stacks=True,
    )
    started = _only_version(whole) if contract is None else contract
    exceptions = (*_EXPECTED_EXCEPTIONS, *may_raise)
    workflow_laws = WorkflowLaws(
        system=whole,
        contract=started,
        checks=RunChecks(
            system=whole,
            allowed_exceptions=frozenset(exception.__name__ for exception in exceptions),
            may_violate=tuple(may_violate),
            once=frozenset(once),
        ),
        ordered=frozenset(map(frozenset, ordered)),
        migrate_to=migrate_to,
        migrate_state=migrate_state,
    )
    unknown = set(laws) - set(LAWS)
    if unknown:
        raise TypeError(f"laws: expected some of {', '.join(LAWS)}, got {', '.join(unknown)}")
    required = frozenset(() if laws is LAWS else laws) | ({"migration"} if migrate_to else set())
    start_processes()
    return WorkflowCheck(
        laws=workflow_laws,
        # The laws that the caller names must be checked; of all laws some may have no case.
        names=tuple(
            name for name in LAWS if name in required or (name in laws and name != "migration")
        ),
        required=required,
        scenarios=lambda tables: _scenarios(whole, started, events, tables),
        payloads=_drawn_payloads(whole, started, starts=events is None),
        effects=effects,
        settings=settings,
    ).run()


def _only_version(system: System) -> VersionedWorkflow[Any, Any]:
    handlers = workflow_handlers(system)
    if len(handlers) != 1:
        names = ", ".join(handler.source for handler in handlers) or "none"
        raise TypeError(f'contract: pass the version to start (order["1.0.0"]), of one of {names}')
    return handlers[0].contract.version("latest")


def _scenarios(
    system: System,
    contract: VersionedWorkflow[Any, Any],
    events: SearchStrategy[Event[Any]] | None,
    tables: SearchStrategy[EffectTable],
) -> SearchStrategy[Scenario]:
    handler = system.handler_at(contract.type)
    if not is_workflow(handler):
        raise TypeError(
            f"contract: expected the contract of a workflow of the system, got {contract.type}"
        )
    services = {name: behaviours(service) for name, service in service_contracts(system).items()}
    signals = [
        st.tuples(st.just(signal), payloads(signal.accepted))
        for signal in handler.signals_of(contract.version)
    ]
    sent = st.lists(st.one_of(signals), max_size=SIGNALS_MAX) if signals else st.just([])
    return st.builds(
        Scenario,
        event=accepted_events(contract) if events is None else events,
        behaviours=st.fixed_dictionaries(services),
        effects=tables,
        signals=sent.map(tuple),
        # Bytes, because Hypothesis shrinks them faster than a list of integers.
        moves=st.binary(max_size=MOVES_MAX).map(tuple),
    )


def _drawn_payloads(
    system: System, contract: VersionedWorkflow[Any, Any], *, starts: bool
) -> Mapping[str, Payload[Any]]:
    """Return the payloads that a scenario draws, by what they are for."""
    handler = system.handler_at(contract.type)
    drawn: dict[str, Payload[Any]] = {}
    if starts:
        drawn[f"the event that starts {contract.type}"] = contract.accepted
    for service in service_contracts(system).values():
        for name, payload in service.emitted.items():
            drawn[f"the reply {name}"] = payload
    for signal in handler.signals_of(contract.version) if is_workflow(handler) else ():
        drawn[f"the signal {signal.type}"] = signal.accepted
    return drawn
