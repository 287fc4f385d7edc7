"""Machines: a strategy for orchestrators of one machine with any generated statechart."""

from typing import Any

from attrs import evolve, frozen
from hypothesis import strategies as st

from arvo import Contract, Event, Machine, Orchestrator, OrchestratorContract, Version, Workflow
from arvo.statechart import Action, Chart, State, Transition, assign, emit
from arvo.statechart import Event as ChartEvent
from arvo.statechart.definition.actions import Assign, CommandTemplate, Raise
from arvo.statechart.definition.commands import Act, Emit
from property_tests.statechart.charts import MICROSTEPS, Counter, charts, count


@frozen
class Begin:
    n: int = 0


@frozen
class Ask:
    n: int


@frozen
class Yes:
    n: int


@frozen
class No:
    why: str


@frozen
class Completed:
    n: int


ask = Contract(
    uri="#/generated/ask",
    type="com.generated.ask",
    versions={
        "1.0.0": Version(accepts=Ask, emits={"evt.generated.yes": Yes, "evt.generated.no": No})
    },
)
workflow = OrchestratorContract(
    uri="#/generated/led",
    name="generated.led",
    versions={"1.0.0": Workflow(init=Begin, complete=Completed)},
)
# The event types of generated charts that stand for replies here; the others are only raised.
_NAMES = {"A": "evt.generated.yes", "B": "evt.generated.no"}


@st.composite
def orchestrators(draw: st.DrawFn) -> Orchestrator[Counter]:
    """Draw an orchestrator of one machine: hierarchy, regions, timers, sends, undelayed or not."""
    # Most generated charts with `always` transitions loop for ever; other laws cover these.
    root = _with_requests(draw(charts()), with_always=draw(st.sampled_from((False, False, True))))
    machine: Machine[Counter] = Machine(
        contract=workflow["1.0.0"],
        services=[ask["1.0.0"]],
        context=_make_context,
        output=_make_output,
        limit=MICROSTEPS,
        **{name: getattr(root, name) for name in _ROOT_FIELDS},
    )
    return Orchestrator([machine])


_ROOT_FIELDS = ("id", "type", "initial", "states", "on", "entry", "on_done")


def _make_context(event: Event[Begin]) -> Counter:
    return Counter(event.data.n)


def _make_output(context: Counter, event: Any) -> Completed:
    return Completed(context.n)


def _ask(context: Counter, event: Any) -> Ask:
    return Ask(context.n)


def _report(context: Counter, event: Any) -> Action:
    return emit(Ask(context.n))


def _with_requests(state: Chart[Any] | State, *, with_always: bool) -> State:
    """Make a chart handle replies, and send requests where it would report."""
    on = {_NAMES.get(str(key), key): _transitions(value) for key, value in state.on.items()}
    return State(
        id=state.id,
        type=state.type,
        initial=state.initial,
        history=state.history,
        target=state.target,
        states={
            key: _with_requests(child, with_always=with_always)
            for key, child in state.states.items()
        },
        on=on,
        always=_transitions(state.always) if with_always else (),
        after={delay: _transitions(value) for delay, value in state.after.items()},
        on_done=None if state.on_done is None else _transitions(state.on_done),
        entry=_actions(state.entry),
        exit=_actions(state.exit),
    )


def _transitions(transitions: tuple[Transition, ...]) -> tuple[Transition, ...]:
    return tuple(
        evolve(transition, actions=_actions(transition.actions)) for transition in transitions
    )


def _actions(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple(_action(action) for action in actions)


def _action(action: Any) -> Action:
    match action:
        case Assign():
            return assign(count)
        case Raise(event=event):
            return Raise(_event(event))
        case CommandTemplate(kind=kind) if kind in (Act, Emit):
            return emit(_ask)
        case CommandTemplate(kind=kind, parts=(event, *rest)):
            return CommandTemplate(kind, (_event(event), *rest))
        case _:
            return _report


def _event(event: Any) -> Any:
    return event if isinstance(event, ChartEvent) else _NAMES.get(event, event)
