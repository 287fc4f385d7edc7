"""Resumable: a workflow written as a function of what happened and what it remembers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast, final

from attrs import field, frozen

from arvo.core.contracts.specialised import OrchestratorContract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.domain import DomainRule
from arvo.core.events.event import Event
from arvo.core.payloads.fields import PayloadError
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.payload import Payload
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.event_handler import CONTEXT, as_rules, check_versions
from arvo.handlers.invoke import Reply
from arvo.handlers.services import check_services, check_signals

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

LOCAL: Final[tuple[DomainRule, ...]] = (None,)


@final
@frozen(kw_only=True)
class Turn(Generic[S_co]):
    """What a workflow's function sees: one event, and what it remembers (reference F160).

    *event*: what happened; `match turn.event.data` tells which: what began the workflow, a reply or
    `SystemFault` of a service, a signal, a timer's `TimerFired`, a `Cancellation` (then this is the
    last turn). *state*: what was persisted last, None before the first `Persist` (say
    `Turn[OrderState | None]` where types should remind you). *collected*: the replies to what it
    asked for last, by event type, this one included. *record*: all that is remembered, None in the
    first turn. *input*: the event, where it is the one that began the workflow. *service*: the
    event, where it is a service's reply.
    """

    event: Event[Any]
    state: S_co
    collected: Mapping[str, tuple[Event[Any], ...]]
    record: Record | None
    input: Event[Any] | None
    service: Event[Any] | None


TurnFunction: TypeAlias = Callable[[Turn[S]], Reply]


@final
@frozen(kw_only=True)
class WorkflowDomains:
    """Where a workflow's events go when a command names no domain (reference F154)."""

    services: tuple[DomainRule, ...] = field(default=LOCAL, converter=as_rules)
    complete: tuple[DomainRule, ...] = field(default=CONTEXT, converter=as_rules)
    system_error: tuple[DomainRule, ...] = field(default=CONTEXT, converter=as_rules)


@final
@frozen(init=False)
class Resumable(Generic[S]):
    """Functions that carry a workflow on, turn by turn, one for each version (reference F158).

    *functions* map each version of the orchestrator's contract to a function from a `Turn` to
    commands. *services*: one version each of the contracts it asks (unique, not its own, F132).
    *signals*: versions of the contracts whose events may come to it from outside while it runs.
    *state*: the class of what it persists; without one, any JSON. A workflow stays on the version
    that its subject names (F164).
    """

    contract: OrchestratorContract[Any, Any]
    functions: Mapping[str, TurnFunction[Any]]
    services: tuple[VersionedContract[Any], ...]
    signals: tuple[VersionedContract[Any], ...]
    state: Payload[S] | None
    executionunits: float
    domains: WorkflowDomains

    def __init__(
        self,
        contract: OrchestratorContract[Any, Any],
        functions: Mapping[str, TurnFunction[S]],
        *,
        services: Sequence[VersionedContract[Any]] = (),
        signals: Sequence[VersionedContract[Any]] = (),
        state: type[S] | None = None,
        executionunits: float = 0,
        domains: WorkflowDomains = WorkflowDomains(),
    ) -> None:
        given: object = contract
        if not isinstance(given, OrchestratorContract):
            issue = Issue("contract", "an OrchestratorContract", short(given))
            raise Violated(ConfigViolation("this workflow cannot be", issue))
        check_versions(contract, functions)
        check_services(contract, services)
        check_signals(contract, services, signals)
        self.__attrs_init__(
            contract,
            dict(functions),
            tuple(services),
            tuple(signals),
            None if state is None else _state_of(contract, state),
            executionunits,
            domains,
        )

    @property
    def source(self) -> str:
        """The address it answers at, and the source of its events: `arvo.orc.{name}`."""
        return self.contract.type

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that it has a function for."""
        return tuple(self.functions)

    def services_of(self, version: str) -> tuple[VersionedContract[Any], ...]:  # noqa: ARG002
        """The contracts that a version of it asks: the same for all."""
        return self.services

    def signals_of(self, version: str) -> tuple[VersionedContract[Any], ...]:  # noqa: ARG002
        """The contracts whose events may come to a version of it: the same for all."""
        return self.signals

    def query(self, record: Record) -> S | None:
        """Say what is remembered of a run, as its class; None before it has persisted anything.

        Raises `Violated`, which names each field, where it does not fit the class.
        """
        if record.state is None or self.state is None:
            # Without a class the state is any JSON: the author said no more of it.
            return cast("S | None", record.state)
        state = self.state.read(record.state, "state")
        if isinstance(state, Issues):
            message = f"what {self.source} remembers does not fit"
            raise Violated(ExecutionViolation(message, state))
        return state


def _state_of(contract: OrchestratorContract[Any, Any], state: type[S]) -> Payload[S]:
    try:
        return Payload.of(state)
    except PayloadError as refused:
        issue = Issue("state", "an attrs.frozen class", str(refused))
        raise Violated(ConfigViolation(f"{contract.uri} cannot remember this", issue)) from None


def collected(replies: Iterable[Event[Any]]) -> Mapping[str, tuple[Event[Any], ...]]:
    """Group replies by their type (reference F166)."""
    grouped: dict[str, list[Event[Any]]] = {}
    for event in replies:
        grouped.setdefault(event.type, []).append(event)
    return FrozenDict({name: tuple(events) for name, events in grouped.items()})
