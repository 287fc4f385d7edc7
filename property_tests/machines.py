"""Machines: a strategy for systems of one workflow that any statechart leads."""

from typing import Any

from attrs import evolve, frozen
from hypothesis import strategies as st

from arvo import Contract, Event, Machine, Orchestrator, OrchestratorContract, Version, Workflow
from arvo.statechart import Action, Chart, State, Transition, assign, emit
from arvo.statechart import Event as ChartEvent
from arvo.statechart.definition.actions import Assign, Make, Raise
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
class Came:
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
    versions={"1.0.0": Workflow(init=Begin, complete=Came)},
)
# What the names of generated charts are here: answers that come, beside what is only raised.
_NAMES = {"A": "evt.generated.yes", "B": "evt.generated.no"}


@st.composite
def orchestrators(draw: st.DrawFn) -> Orchestrator[Counter]:
    """Draw an orchestrator of one machine: hierarchy, regions, timers, sends, undelayed or not."""
    # Most generated charts that chase themselves never come to rest, which other laws are about.
    root = _asking(draw(charts()), restless=draw(st.sampled_from((False, False, True))))
    machine: Machine[Counter] = Machine(
        contract=workflow["1.0.0"],
        services=[ask["1.0.0"]],
        context=_begin,
        output=_came,
        limit=MICROSTEPS,
        **{name: getattr(root, name) for name in _SHAPE},
    )
    return Orchestrator([machine])


_SHAPE = ("id", "type", "initial", "states", "on", "entry", "on_done")


def _begin(event: Event[Begin]) -> Counter:
    return Counter(event.data.n)


def _came(context: Counter, event: Any) -> Came:
    return Came(context.n)


def _ask(context: Counter, event: Any) -> Ask:
    return Ask(context.n)


def _report(context: Counter, event: Any) -> Action:
    return emit(Ask(context.n))


def _asking(state: Chart[Any] | State, *, restless: bool) -> State:
    """Let a chart hear answers, and ask where it would report."""
    moves = {_NAMES.get(str(key), key): _moves(each) for key, each in state.on.items()}
    return State(
        id=state.id,
        type=state.type,
        initial=state.initial,
        history=state.history,
        target=state.target,
        states={key: _asking(child, restless=restless) for key, child in state.states.items()},
        on=moves,
        always=_moves(state.always) if restless else (),
        after={delay: _moves(each) for delay, each in state.after.items()},
        on_done=None if state.on_done is None else _moves(state.on_done),
        entry=_actions(state.entry),
        exit=_actions(state.exit),
    )


def _moves(moves: tuple[Transition, ...]) -> tuple[Transition, ...]:
    return tuple(evolve(move, actions=_actions(move.actions)) for move in moves)


def _actions(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple(_action(action) for action in actions)


def _action(action: Any) -> Action:
    match action:
        case Assign():
            return assign(count)
        case Raise(event=event):
            return Raise(_event(event))
        case Make(kind=kind) if kind in (Act, Emit):
            return emit(_ask)
        case Make(kind=kind, parts=(event, *rest)):
            return Make(kind, (_event(event), *rest))
        case _:
            return _report


def _event(event: Any) -> Any:
    return event if isinstance(event, ChartEvent) else _NAMES.get(event, event)
