"""Resumable: a workflow written as a function of an event and its persisted state."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar, cast, final

from attrs import define, field, frozen

from arvo.construct import constructor
from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.events.domain import DomainRule
from arvo.core.events.event import Event
from arvo.core.labels import Label, LabelFunction
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.effect import Retry
from arvo.handlers.event_handler import (
    CONTEXT,
    HandlerPolicy,
    OnError,
    check_versions,
    to_domain_rules,
)
from arvo.handlers.invoke import HandlerReturn
from arvo.handlers.limit import Limit
from arvo.handlers.services import Services, ServiceSpec, read_services

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

LOCAL: Final[tuple[DomainRule, ...]] = (None,)


@final
@frozen(kw_only=True, weakref_slot=False)
class Turn(Generic[S_co]):
    """The argument of a resumable's function: one event, and the workflow's state.

    *event*: the event of this turn. Its data is the payload that began the workflow, a reply or
    `SystemFault` of a service, a signal, a `TimerFired`, or a `Cancellation` (then this is the last
    turn); `match turn.event.data` distinguishes them. *state*: the state persisted last, None
    before the first `Persist` (annotate `Turn[OrderState | None]` to have the type checker point
    this out). *now*: the time of the turn, the same in a replay. *collected*: the replies so far to
    its most recent requests, by event type, this one included. *record*: the workflow's whole
    record, None in the first turn. *input*: the event if it began the workflow, else None.
    *service*: the event if it is a service's reply, else None.
    """

    event: Event[Any]
    state: S_co
    now: datetime
    collected: Mapping[str, tuple[Event[Any], ...]]
    record: Record | None
    input: Event[Any] | None
    service: Event[Any] | None


make_turn: Final = constructor(Turn)
TurnFunction: TypeAlias = Callable[[Turn[S]], HandlerReturn]


@final
@frozen(kw_only=True)
class WorkflowDomains:
    """The domains of a workflow's events where a command names none."""

    services: tuple[DomainRule, ...] = field(default=LOCAL, converter=to_domain_rules)
    complete: tuple[DomainRule, ...] = field(default=CONTEXT, converter=to_domain_rules)
    system_error: tuple[DomainRule, ...] = field(default=CONTEXT, converter=to_domain_rules)


@frozen(init=False)
class Resumable(Generic[S]):
    """Functions that take a workflow's turns, one for each version.

    *functions* map each version of the orchestrator's contract to a function from a `Turn` to
    commands. *services*: one version of each contract that it sends requests to; none twice, and
    not its own. *signals*: versions of the contracts whose events it accepts from outside while it
    runs. *state*: the class of the state that it persists; without one the state is any JSON. A
    workflow stays on the version that its subject names. *source* is its address, and the source of
    its events: `arvo.orc.{name}`. *retry*, *timeout*, *on_error* and *limits*: see `HandlerPolicy`.
    *labels*: a pure function from the state to the labels by which lists select it; see
    `Record.labels`.
    Raises `Violated` for versions, services or signals that do not fit the contract.
    """

    contract: OrchestratorContract[Any, Any]
    functions: Mapping[str, TurnFunction[Any]]
    services: Services
    signals: Services
    state: Payload[S] | None
    executionunits: float
    domains: WorkflowDomains
    policy: HandlerPolicy
    labels: LabelFunction | None
    source: str = field(init=False, repr=False, eq=False)
    # How many finished children stay in the record, if fewer than of other workflows.
    children_max: ClassVar[int | None] = None

    @source.default
    def _default_source(self) -> str:
        return self.contract.type

    def __init__(
        self,
        contract: OrchestratorContract[Any, Any],
        functions: Mapping[str, TurnFunction[S]],
        *,
        services: Sequence[ServiceSpec] = (),
        signals: Sequence[ServiceSpec] = (),
        state: type[S] | None = None,
        executionunits: float = 0,
        domains: WorkflowDomains = WorkflowDomains(),
        retry: Retry | None = None,
        timeout: timedelta | float | None = None,
        on_error: OnError = "fail",
        limits: Iterable[Limit] = (),
        labels: Callable[[S], Mapping[str, Label | None]] | None = None,
    ) -> None:
        candidate: object = contract
        if not isinstance(candidate, OrchestratorContract):
            issue = Issue("contract", "an OrchestratorContract", short_repr(candidate))
            raise Violated(ConfigViolation("the workflow is invalid", issue))
        check_versions(contract, functions, "the turn")
        self.__attrs_init__(
            contract,
            dict(functions),
            *read_services(contract, services, signals),
            None if state is None else _state_payload(contract, state),
            executionunits,
            domains,
            HandlerPolicy(retry, timeout, on_error, limits),
            labels,
        )

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that have a function."""
        return tuple(self.functions)

    def services_of(self, version: str) -> Services:  # noqa: ARG002
        """The services of a version: the same for all."""
        return self.services

    def signals_of(self, version: str) -> Services:  # noqa: ARG002
        """The signals of a version: the same for all."""
        return self.signals

    def query(self, record: Record) -> S | None:
        """Return a workflow's state as its class, or None before the first `Persist`.

        Raises `Violated`, which names each field, where the state does not fit the class.
        """
        if record.state is None or self.state is None:
            # Without a class the state is any JSON: S is unknown to the type checker.
            return cast("S | None", record.state)
        state = self.state.read(record.state, "state")
        if isinstance(state, Issues):
            message = f"the state of {self.source} does not fit its class"
            raise Violated(ExecutionViolation(message, state))
        return state


def _state_payload(contract: OrchestratorContract[Any, Any], state: type[S]) -> Payload[S]:
    try:
        return Payload.of(state)
    except PayloadError as refused:
        issue = Issue("state", "a payload class", str(refused))
        raise Violated(
            ConfigViolation(f"{contract.uri} cannot persist this class", issue)
        ) from None


@final
@define(eq=False)
class Collected(Mapping[str, tuple[Event[Any], ...]]):
    """Replies by event type, as *collect* returns them: called when they are first looked at.

    Most turns look at their own event only.
    """

    _collect: Callable[[], Mapping[str, tuple[Event[Any], ...]]]
    _groups: Mapping[str, tuple[Event[Any], ...]] | None = field(default=None, init=False)

    def __getitem__(self, name: str) -> tuple[Event[Any], ...]:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())

    def _read(self) -> Mapping[str, tuple[Event[Any], ...]]:
        if self._groups is None:
            self._groups = self._collect()
        return self._groups
