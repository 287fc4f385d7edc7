"""Blueprint: a machine's chart, compiled with event types for classes and with arvo's context."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypedDict

from attrs import evolve, fields, frozen

from arvo.core.contracts.versioned import VersionedContract, VersionedWorkflow
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.machine.action_sites import places, wants
from arvo.handlers.machine.context import context_of
from arvo.handlers.machine.event_types import classes_of, named, with_types
from arvo.statechart.compiled.chart import MICROSTEPS_MAX, Chart
from arvo.statechart.definition.actions import Actions
from arvo.statechart.definition.commands import Act
from arvo.statechart.definition.problems import ChartError
from arvo.statechart.definition.state import DelayKey, Kind, Moves, State, Transition

# The action of the reference that emits behind all others (F136, F137, F147).
ENQUEUE: Final = "enqueueArvoEvent"


class Shape(TypedDict, total=False):
    """What a machine's root state says, as in `arvo.statechart.Chart`."""

    id: str
    initial: str | Transition
    states: Mapping[str, State]
    on: Mapping[Any, Moves]
    always: Moves
    after: Mapping[DelayKey, Moves]
    entry: Actions
    exit: Actions
    on_done: Moves
    type: Kind
    output: object
    tags: str | Sequence[str]
    meta: object
    delays: Mapping[str, object]
    limit: int


@frozen
class Root:
    """A root state, and what a chart has beside it."""

    state: State
    delays: Mapping[str, object]
    limit: int


def root_of(name: str, shape: Shape) -> Root:
    """Read the root state from what the machine of a workflow called *name* was given."""
    # A dot would cut the id in two where a target names it.
    given: dict[str, Any] = {"id": name.replace(".", "-"), **shape}
    delays, limit = given.pop("delays", {}), given.pop("limit", MICROSTEPS_MAX)
    return Root(State(**given), delays, limit)


def chart_of(
    contract: VersionedWorkflow[Any, Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
    context: Any,
    read: Callable[[], "Root | Chart[Any]"],
) -> tuple[Chart[Any], Payload[Any] | None]:
    """Compile what *read* gives; raises `Violated` with all that is wrong, state by state."""
    first, payload = context_of(contract, context)
    classes = classes_of(contract, services, signals)
    try:
        given = read()
        root = given if isinstance(given, Root) else Root(given, given.delays, given.limit)
        state, issues = with_types(root.state, classes)
        if not issues:
            chart: Chart[Any] = Chart(
                **_fields(_ending(state)),
                context=first,
                delays=root.delays,
                limit=root.limit,
                name=partial(named, classes),
            )
            issues = tuple(_unknown_acts(chart))
            if not issues:
                return chart, payload
    except ChartError as error:
        issues = tuple(
            Issue(each.path, "what a statechart can be", each.message) for each in error.problems
        )
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # Of the constructors of states and actions, for what no type checker has seen.
        issues = (Issue("machine", "what a statechart is made of", short(error)),)
    raise Violated(ConfigViolation(f"{contract.dataschema} cannot have this machine", issues))


def _fields(state: State) -> dict[str, Any]:
    return {each.name: getattr(state, each.name) for each in fields(State)}


def _ending(state: State) -> State:
    """Let the chart come to what its last state says, unless it says something itself.

    XState drops the output of a top-level final state; a workflow would end without a word.
    """
    ends = any(child.output is not None for child in state.states.values())
    return evolve(state, output=last_output) if state.output is None and ends else state


def last_output(_: object, done: Any) -> object:
    """Give the output of the state that the chart ended in."""
    return done.output


def _unknown_acts(chart: Chart[Any]) -> Iterator[Issue]:
    """Name the custom actions that nobody carries out, as far as the definition tells."""
    for place in places(chart):
        for want in wants(place.ops):
            if want.kind is Act and isinstance(want.parts[0], str) and want.parts[0] != ENQUEUE:
                expected = "an action that is implemented: a function, or one of arvo.statechart's"
                yield Issue(str(place), expected, f"act({want.parts[0]!r})")
