"""Machine: one version of a workflow, led by a statechart over the contracts that it asks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, Unpack, final

from attrs import field, frozen
from typing_extensions import TypeVar

from arvo.core.contracts.versioned import VersionedContract, VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.machine.compile import ENQUEUE, Shape, chart_of, root_of
from arvo.handlers.machine.lint import doubts
from arvo.handlers.services import check_services, check_signals
from arvo.statechart.compiled.chart import MICROSTEPS_MAX, Chart
from arvo.statechart.xstate.from_xstate import Config, Implementation, from_xstate

C = TypeVar("C", default=Any)


@final
@frozen(init=False, eq=False)
class Machine(Generic[C]):
    """A statechart that leads one version of a workflow (reference F134-F144).

    *contract*: that version. *services*: one version each of the contracts it asks. *signals*:
    versions of the contracts whose events may come to it from outside while it runs. *context*: an
    `attrs.frozen` class whose fields the payload of the first event has (or that have defaults), a
    function of that event, or a value. The rest is the root state, as in `arvo.statechart.Chart`.

    Keys of `on` are event types, wildcards, or payload classes: of a service's answers, of
    signals, `SystemFault` for the system error of any service, `Cancellation`, `TimerFired`.
    Functions see the context and the `Event` that came (at the start an `Init`, whose *input* is
    the first event). What a chart cannot be, and a class that no event or more than one carries, is
    refused with `Violated`, which names each state.
    """

    contract: VersionedWorkflow[Any, Any]
    services: tuple[VersionedContract[Any], ...] = field(repr=False)
    signals: tuple[VersionedContract[Any], ...] = field(repr=False)
    chart: Chart[C] = field(repr=False)
    context: Payload[C] | None = field(repr=False)

    def __init__(
        self,
        *,
        contract: VersionedWorkflow[Any, Any],
        services: Sequence[VersionedContract[Any]] = (),
        signals: Sequence[VersionedContract[Any]] = (),
        context: type[C] | Callable[[Event[Any]], C] | Mapping[str, Any] | None = None,
        **shape: Unpack[Shape],
    ) -> None:
        _check(contract, services, signals)
        read = partial(root_of, contract.name, shape)
        chart, payload = chart_of(contract, services, signals, context, read)
        self.__attrs_init__(contract, tuple(services), tuple(signals), chart, payload)

    @classmethod
    def from_xstate(
        cls,
        config: Config,
        *,
        contract: VersionedWorkflow[Any, Any],
        services: Sequence[VersionedContract[Any]] = (),
        signals: Sequence[VersionedContract[Any]] = (),
        context: type[C] | Callable[[Event[Any]], C] | Mapping[str, Any] | None = None,
        actions: Mapping[str, Implementation] | None = None,
        guards: Mapping[str, Callable[..., Any]] | None = None,
        delays: Mapping[str, object] | None = None,
        limit: int = MICROSTEPS_MAX,
    ) -> "Machine[C]":
        """Make a machine of an XState v5 config, as `arvo.statechart.from_xstate` reads it.

        The config's `version`, where it has one, must be the contract's (F138). *context* stands
        in for the config's. The reference's action `enqueueArvoEvent` is known (F137).
        """
        _check(contract, services, signals)
        _check_config(contract, config, actions or {})
        read = partial(
            from_xstate,
            config,
            actions=actions,
            guards=guards,
            delays=delays,
            commands=(ENQUEUE,),
            limit=limit,
        )
        first: Any = config.get("context") if context is None else context
        chart, payload = chart_of(contract, services, signals, first, read)
        machine = cls.__new__(cls)
        machine.__attrs_init__(contract, tuple(services), tuple(signals), chart, payload)
        return machine

    @property
    def version(self) -> str:
        """The version of the contract that it leads."""
        return self.contract.version

    @property
    def source(self) -> str:
        """The address it answers at: `arvo.orc.{name}`."""
        return self.contract.type

    def problems(self) -> tuple[Issue, ...]:
        """Say what is most likely wrong, though it runs: answers that no state hears, states that
        nothing enters or leaves, ends that tell nobody, timers with one id that may overlap.
        """
        return tuple(doubts(self.chart, self.contract, self.services, self.signals))


def _check(
    contract: VersionedWorkflow[Any, Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> None:
    given: object = contract
    if not isinstance(given, VersionedWorkflow):
        expected = 'one version of an OrchestratorContract, such as order["1.0.0"]'
        issue = Issue("contract", expected, short(given))
        raise Violated(ConfigViolation("this machine cannot be", issue))
    check_services(contract, services)
    check_signals(contract, services, signals)


def _check_config(
    contract: VersionedWorkflow[Any, Any], config: Config, actions: Mapping[str, object]
) -> None:
    issues: list[Issue] = []
    version = config.get("version")
    if version is not None and version != contract.version:
        issues.append(Issue("version", contract.version, repr(version)))
    if ENQUEUE in actions:
        issues.append(Issue(f"actions.{ENQUEUE}", "no action of this name: it is known", "one"))
    if issues:
        message = f"{contract.dataschema} cannot have this machine"
        raise Violated(ConfigViolation(message, tuple(issues)))
