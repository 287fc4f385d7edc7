"""Machine: one version of a workflow, led by a statechart over the contracts of its services."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, Unpack, final

from attrs import field, frozen
from typing_extensions import TypeVar

from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.machine.compile import ENQUEUE, ChartConfig, compile_chart, read_root
from arvo.handlers.machine.lint import lint_machine
from arvo.handlers.services import Services, ServiceSpec, read_services
from arvo.statechart.compiled.chart import MICROSTEPS_MAX, Chart
from arvo.statechart.xstate.from_xstate import Config, Implementation, from_xstate

C = TypeVar("C", default=Any)


@final
@frozen(init=False, eq=False)
class Machine(Generic[C]):
    """A statechart that leads one version of a workflow.

    *contract*: that version. *services*: one version each of the contracts that it calls.
    *signals*: versions of the contracts whose events it may receive from outside while it runs.
    *context*: an `attrs.frozen` class whose fields the payload of the first event has (or that
    have defaults), a function of that event, or a value. The other arguments are those of the
    root state, as in `arvo.statechart.Chart`.

    Keys of `on` are event types, wildcards, or payload classes: of a service's replies, of
    signals, `SystemFault` for the system error of any service, `Cancellation`, `TimerFired`.
    Functions receive the context and the current `Event` (at the start an `Init`, whose *input*
    is the first event). Raises `Violated` for an invalid chart, and for a class that no event or
    more than one carries; the violation has an issue for each state.
    """

    contract: VersionedWorkflow[Any, Any]
    services: Services = field(repr=False)
    signals: Services = field(repr=False)
    chart: Chart[C] = field(repr=False)
    context: Payload[C] | None = field(repr=False)

    def __init__(
        self,
        *,
        contract: VersionedWorkflow[Any, Any],
        services: Sequence[ServiceSpec] = (),
        signals: Sequence[ServiceSpec] = (),
        context: type[C] | Callable[[Event[Any]], C] | Mapping[str, Any] | None = None,
        **config: Unpack[ChartConfig],
    ) -> None:
        _check(contract)
        called, received = read_services(contract, services, signals)
        read = partial(read_root, contract.name, config)
        chart, payload = compile_chart(contract, called, received, context, read)
        self.__attrs_init__(contract, called, received, chart, payload)

    @classmethod
    def from_xstate(
        cls,
        config: Config,
        *,
        contract: VersionedWorkflow[Any, Any],
        services: Sequence[ServiceSpec] = (),
        signals: Sequence[ServiceSpec] = (),
        context: type[C] | Callable[[Event[Any]], C] | Mapping[str, Any] | None = None,
        actions: Mapping[str, Implementation] | None = None,
        guards: Mapping[str, Callable[..., Any]] | None = None,
        delays: Mapping[str, object] | None = None,
        limit: int = MICROSTEPS_MAX,
    ) -> "Machine[C]":
        """Make a machine of an XState v5 config, as `arvo.statechart.from_xstate` reads it.

        The config's `version`, if it has one, must be that of the contract. *context* replaces
        the context of the config. The action `enqueueArvoEvent` of the TypeScript package is
        built in. Raises `Violated` as the constructor does.
        """
        _check(contract)
        called, received = read_services(contract, services, signals)
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
        first_context: Any = config.get("context") if context is None else context
        chart, payload = compile_chart(contract, called, received, first_context, read)
        machine = cls.__new__(cls)
        machine.__attrs_init__(contract, called, received, chart, payload)
        return machine

    @property
    def version(self) -> str:
        """The version of the contract."""
        return self.contract.version

    @property
    def source(self) -> str:
        """The address of the workflow: `arvo.orc.{name}`."""
        return self.contract.type

    def problems(self) -> tuple[Issue, ...]:
        """Return likely mistakes in the machine, which runs all the same.

        They are the problems of `arvo.statechart.lint`, replies and signals that no state
        handles, events that nothing sends, final states without an output, and timers with one id
        that may be pending together.
        """
        return tuple(lint_machine(self.chart, self.contract, self.services, self.signals))


def _check(contract: VersionedWorkflow[Any, Any]) -> None:
    unchecked: object = contract
    if not isinstance(unchecked, VersionedWorkflow):
        expected = 'one version of an OrchestratorContract, such as order["1.0.0"]'
        issue = Issue("contract", expected, short_repr(unchecked))
        raise Violated(ConfigViolation("the machine is invalid", issue))


def _check_config(
    contract: VersionedWorkflow[Any, Any], config: Config, actions: Mapping[str, object]
) -> None:
    issues: list[Issue] = []
    version = config.get("version")
    if version is not None and version != contract.version:
        issues.append(Issue("version", contract.version, repr(version)))
    if ENQUEUE in actions:
        expected = "no action of this name, because it is built in"
        issues.append(Issue(f"actions.{ENQUEUE}", expected, "one"))
    if issues:
        message = f"the machine of {contract.dataschema} is invalid"
        raise Violated(ConfigViolation(message, tuple(issues)))
