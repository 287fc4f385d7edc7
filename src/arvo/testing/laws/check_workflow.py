"""Workflows: the laws that every workflow should keep."""

from collections.abc import Callable, Collection
from typing import Any, Final

from hypothesis import settings as budgets
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.contracts.versioned import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.violations.violation import Violation
from arvo.engine.system.system import Handler, System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.primitives import CallFailed, ServiceFailed
from arvo.testing.given.commands_of import Effects
from arvo.testing.laws.effect_stubs import EffectFailed, Substitutes, searched
from arvo.testing.laws.environment import Scenario, services, workflows
from arvo.testing.laws.laws import BUDGET, LawViolated, LawViolation, search
from arvo.testing.laws.workflow_laws import Judge
from arvo.testing.strategies.payloads import payloads
from arvo.testing.strategies.replies import behaviours
from arvo.testing.strategies.strategies import accepted

# Choices of what comes next, and signals, in one scenario.
MOVES_MAX: Final = 8
SIGNALS_MAX: Final = 2

LAWS: Final = ("redelivery", "total", "rest", "race", "order", "cancellation", "migration")
"""The laws of `check_workflow`, in the order in which they are tried."""


def check_workflow(
    system: System | Handler,
    contract: VersionedWorkflow[Any, Any] | None = None,
    *,
    events: SearchStrategy[Event[Any]] | None = None,
    effects: Substitutes | None = None,
    migrate_to: str | None = None,
    migrate_state: Callable[[Any], Any] | None = None,
    once: Collection[type[Any] | str] = (),
    ordered: Collection[tuple[str, str]] = (),
    may_raise: Collection[type[Exception]] = (),
    may_violate: Collection[type[Violation]] = (),
    laws: Collection[str] = LAWS,
    settings: budgets = BUDGET,
) -> None:
    """Search for a history that makes a workflow break a law; raises `LawViolated` that tells it.

    *system*: the workflow and its children; services answer by their contracts, whatever these
    permit, and their handlers are not asked. *contract*: the version that is begun; by default the
    latest of the only workflow.

    The laws, by name: `redelivery` changes nothing, also to a worker that has just started. It is
    `total`: no answer that a contract permits makes it raise or violate. It always comes to `rest`.
    In a `race` of timers, replies and signals nothing breaks, and what is listed in *once* (payload
    classes or event types) is asked for at most once. The `order` of two open replies does not
    change the end, but for pairs of event types in *ordered*. A `cancellation` at any point leaves
    nothing running. A `migration` of any run to *migrate_to*, by *migrate_state* (see `migrate`),
    succeeds, and the run goes on.

    *events*: what begins it, by default all that the contract accepts. *effects*, *may_raise*,
    *may_violate*: as in `check_handler`. *laws*: those to try.
    """
    __tracebackhide__ = True
    whole = System(
        system.handlers if isinstance(system, System) else [system],
        stacks=True,
    )
    begun = _only_version(whole) if contract is None else contract
    judge = Judge(
        system=whole,
        contract=begun,
        escapes=frozenset(each.__name__ for each in (*_FORESEEN, *may_raise)),
        may_violate=tuple(may_violate),
        once=frozenset(once),
        ordered=frozenset(map(frozenset, ordered)),
        migrate_to=migrate_to,
        migrate_state=migrate_state,
    )
    named = {name: getattr(judge, name) for name in LAWS}
    unknown = set(laws) - named.keys()
    if unknown:
        raise TypeError(f"laws: expected some of {', '.join(LAWS)}, got {', '.join(unknown)}")
    chosen = [named[name] for name in LAWS if name in laws]

    def find(tables: SearchStrategy[Effects]) -> LawViolation | None:
        return search(_scenarios(whole, begun, events, tables), chosen, settings)

    broken = searched(effects, find)
    if broken is not None:
        raise LawViolated(f"the workflow of {begun.dataschema}", broken)


# What may escape any workflow: a service or an effect that fails is not the workflow's fault.
_FORESEEN: Final = (EffectFailed, CallFailed, ServiceFailed)


def _only_version(system: System) -> VersionedWorkflow[Any, Any]:
    found = workflows(system)
    if len(found) != 1:
        names = ", ".join(each.source for each in found) or "none"
        raise TypeError(f'contract: say which workflow is begun (order["1.0.0"]), of {names}')
    return found[0].contract.version("latest")


def _scenarios(
    system: System,
    contract: VersionedWorkflow[Any, Any],
    events: SearchStrategy[Event[Any]] | None,
    tables: SearchStrategy[Effects],
) -> SearchStrategy[Scenario]:
    handler = system.handler_at(contract.type)
    if handler is None or isinstance(handler, EventHandler):
        raise TypeError(f"contract: expected that of a workflow of the system, got {contract.type}")
    ways = {name: behaviours(service) for name, service in services(system).items()}
    signals = [
        st.tuples(st.just(signal), payloads(signal.accepted))
        for signal in handler.signals_of(contract.version)
    ]
    some = st.lists(st.one_of(signals), max_size=SIGNALS_MAX) if signals else st.just([])
    return st.builds(
        Scenario,
        event=accepted(contract) if events is None else events,
        behaviours=st.fixed_dictionaries(ways),
        effects=tables,
        signals=some.map(tuple),
        # Bytes: one choice to Hypothesis, which shrinks faster than a list, to fewer and lower.
        moves=st.binary(max_size=MOVES_MAX).map(tuple),
    )
