"""Compile: a machine's chart, with event types in place of classes and with Arvo's context."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypedDict

from attrs import evolve, fields, frozen

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import type_name
from arvo.core.payloads.types.fields import fields_of
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.machine.action_sites import action_sites, flatten_ops, planned_commands
from arvo.handlers.machine.context import read_context
from arvo.handlers.machine.event_types import event_type, incoming_events, resolve_event_types
from arvo.statechart.compiled.chart import MICROSTEPS_MAX, Chart
from arvo.statechart.definition.actions import Actions
from arvo.statechart.definition.commands import Act
from arvo.statechart.definition.problems import ChartError
from arvo.statechart.definition.state import DelayKey, Kind, State, Transition, Transitions

# The built-in action of the TypeScript package: its events are sent after all emitted ones.
ENQUEUE: Final = "enqueueArvoEvent"


class ChartConfig(TypedDict, total=False):
    """The root state of a machine and its chart's settings, as in `arvo.statechart.Chart`."""

    id: str
    initial: str | Transition
    states: Mapping[str, State]
    on: Mapping[Any, Transitions]
    always: Transitions
    after: Mapping[DelayKey, Transitions]
    entry: Actions
    exit: Actions
    on_done: Transitions
    type: Kind
    output: object
    tags: str | Sequence[str]
    meta: object
    delays: Mapping[str, object]
    limit: int


@frozen
class RootState:
    """A root state, and the chart's settings beside it."""

    state: State
    delays: Mapping[str, object]
    limit: int


def read_root(name: str, config: ChartConfig) -> RootState:
    """Make the root state of the workflow called *name* from its machine's arguments."""
    # A dot in the id would split it where a target names it.
    arguments: dict[str, Any] = {"id": name.replace(".", "-"), **config}
    delays = arguments.pop("delays", {})
    limit = arguments.pop("limit", MICROSTEPS_MAX)
    return RootState(State(**arguments), delays, limit)


def compile_chart(
    contract: VersionedWorkflow[Any, Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
    context: Any,
    read: Callable[[], "RootState | Chart[Any]"],
) -> tuple[Chart[Any], Payload[Any] | None]:
    """Compile the definition that *read* returns, and return the chart and its context's payload.

    Raises `Violated` with every issue, each at its state.
    """
    first_context, payload = read_context(contract, context)
    incoming = incoming_events(contract, services, signals)
    try:
        definition = read()
        if isinstance(definition, RootState):
            root = definition
        else:
            root = RootState(definition, definition.delays, definition.limit)
        state, issues = resolve_event_types(root.state, incoming)
        if not issues:
            chart: Chart[Any] = Chart(
                **_fields(_with_default_output(state)),
                context=first_context,
                delays=root.delays,
                limit=root.limit,
                name=partial(event_type, incoming),
            )
            issues = (*_unknown_acts(chart), *_unknown_fields(chart, payload))
            if not issues:
                return chart, payload
    except ChartError as error:
        issues = tuple(
            Issue(problem.path, "a valid statechart", problem.message) for problem in error.problems
        )
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # From the constructors of states and actions, for definitions that mypy has not seen.
        issues = (Issue("machine", "states, transitions and actions", short_repr(error)),)
    raise Violated(ConfigViolation(f"the machine of {contract.dataschema} is invalid", issues))


def _fields(state: State) -> dict[str, Any]:
    return {attribute.name: getattr(state, attribute.name) for attribute in fields(State)}


def _with_default_output(state: State) -> State:
    """Make the output of the last state that of the chart, unless the chart has its own.

    XState drops the output of a top-level final state, and the workflow would end without a
    completion.
    """
    ends = any(child.output is not None for child in state.states.values())
    return evolve(state, output=last_output) if state.output is None and ends else state


def last_output(_: object, done: Any) -> object:
    """Return the output of the state in which the chart ended."""
    return done.output


def _unknown_acts(chart: Chart[Any]) -> Iterator[Issue]:
    """Find the custom actions without an implementation that the definition names."""
    for site in action_sites(chart):
        for command in planned_commands(site.ops):
            name = command.parts[0]
            if command.kind is Act and isinstance(name, str) and name != ENQUEUE:
                expected = "an implemented action: a function, or one of arvo.statechart"
                yield Issue(str(site), expected, f"act({name!r})")


def _unknown_fields(chart: Chart[Any], context: Payload[Any] | None) -> Iterator[Issue]:
    """Find the assignments to fields that the class of the context lacks."""
    kind: Any = None if context is None else context.type
    if kind is None:
        return
    known = {field.name for field in fields_of(kind)}
    expected = f"a field of {type_name(kind)} ({', '.join(sorted(known)) or 'it has none'})"
    for site in action_sites(chart):
        for op in flatten_ops(site.ops):
            for name in op.assigned:
                if name not in known:
                    yield Issue(str(site), expected, f"assign({name}=...)")
