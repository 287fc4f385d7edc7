"""Charts: a strategy for whole statecharts, and one for the events that they may handle."""

from collections.abc import Iterator
from typing import Any, Literal

from attrs import evolve, frozen
from hypothesis import strategies as st

from arvo.statechart import (
    Action,
    Chart,
    Event,
    Guard,
    State,
    Transition,
    act,
    and_,
    assign,
    cancel,
    emit,
    not_,
    or_,
    raise_,
    send,
    state_in,
)

NAMES = ("A", "B", "x", "x.y", "x.y.z")
DESCRIPTORS = (*NAMES, "x.*", "x.y.*", "*")
MICROSTEPS = 60  # a generated chart with more of them is in a loop


@frozen
class Counter:
    """The context of generated charts; small, so that few of them differ."""

    n: int = 0


def is_even(context: Counter, event: Any) -> bool:
    """Return whether the count is even."""
    return context.n % 2 == 0


def has_data(context: Counter, event: Any) -> bool:
    """Return whether the event has data."""
    return getattr(event, "data", None) is not None


def count(context: Counter, event: Any) -> Counter:
    """Count modulo four."""
    return Counter((context.n + 1) % 4)


def report(context: Counter, event: Any) -> Action:
    """Run an action that depends on the context."""
    return act("report", context.n)


def output(context: Counter, event: Any) -> int:
    """Return an output that depends on the context."""
    return context.n


@frozen
class Sketch:
    """A transition whose states are numbers, taken modulo the number of states."""

    targets: tuple[int, ...] | None
    guard: Guard | int | None
    negated: bool
    actions: tuple[Action, ...]
    reenter: bool

    def transition(self, states: "States", *, guarded: bool) -> Transition:
        """Make the transition; *guarded* adds a guard, without which it could loop for ever."""
        ids = tuple(states)
        targets = [ids[number % len(ids)] for number in self.targets or ()]
        if len(targets) > 1 and not may_combine(states, *targets):
            targets = targets[:1]
        guard = self.guard
        if isinstance(guard, int):
            guard = state_in(f"#{ids[guard % len(ids)]}")
        if guard is None and guarded:
            guard = or_(is_even, has_data)
        elif guard is not None and self.negated:
            guard = not_(and_(guard, is_even))
        target = None if self.targets is None else tuple(f"#{name}" for name in targets)
        return Transition(target, guard, actions=self.actions, reenter=self.reenter)


# Every state by its id.
States = dict[str, State]


def may_combine(states: States, one: str, other: str) -> bool:
    """Return whether two states lie in different regions, so one transition may enter both."""
    if "history" in (states[one].type, states[other].type):
        return False
    one_keys, other_keys = one.split("."), other.split(".")
    shared = next(
        (n for n, keys in enumerate(zip(one_keys, other_keys, strict=False)) if len(set(keys)) > 1),
        0,
    )
    return bool(shared) and states[".".join(one_keys[:shared])].type == "parallel"


KNOWN_ACTIONS: tuple[Action, ...] = (
    assign(count),
    report,
    act("log", {"k": [1]}),
    emit(report),
    raise_("A"),
    raise_(Event("x", 1)),
    raise_("B", delay=20, id="b"),
    cancel("b"),
    send("x.y"),
)
# Built once: Hypothesis validates every new strategy, which would be one for each state.
ACTIONS = st.lists(st.sampled_from(KNOWN_ACTIONS), max_size=2).map(tuple)
NUMBER = st.integers(0, 40)
SKETCHES = st.builds(
    Sketch,
    targets=st.none() | st.tuples(NUMBER) | st.tuples(NUMBER, NUMBER) | st.just(()),
    guard=st.none() | NUMBER | st.sampled_from((is_even, has_data)),
    negated=st.booleans(),
    actions=ACTIONS,
    reenter=st.booleans(),
)
TRANSITIONS = st.lists(SKETCHES, min_size=1, max_size=2)
ON = st.dictionaries(st.sampled_from(DESCRIPTORS), TRANSITIONS, max_size=3)
AFTER = st.dictionaries(st.sampled_from((10, 500)), TRANSITIONS, max_size=1)
ALWAYS = st.lists(SKETCHES, max_size=1)
ON_DONE = st.none() | TRANSITIONS
TAGS = st.sampled_from((frozenset[str](), frozenset({"busy"})))
WIDTH = st.integers(1, 3)
INNER = st.sampled_from(("atomic", "final", "compound", "parallel", "compound"))
OUTER = st.sampled_from(("atomic", "atomic", "final"))
HISTORY: st.SearchStrategy[Literal["shallow", "deep"] | None] = st.sampled_from(
    (None, "shallow", "deep")
)
OUTPUT = st.sampled_from((None, 1))


@st.composite
def charts(draw: st.DrawFn) -> Chart[Counter]:
    """Draw a valid chart with any construct: regions, histories, finals, guards, timers."""
    tree = _tree(draw, draw(st.sampled_from(("compound", "parallel"))), 3)
    root = _with_behaviour(draw, tree, dict(_by_id("m", tree)))
    return Chart(
        id="m",
        type=root.type,
        initial=root.initial,
        states=root.states,
        on=root.on,
        entry=root.entry,
        on_done=root.on_done,
        output=output,
        context=Counter(),
        limit=MICROSTEPS,
    )


def events() -> st.SearchStrategy[list[Event]]:
    """Draw a sequence of events for a chart."""
    kinds = st.sampled_from((*NAMES, "other", "x.q"))
    return st.lists(st.builds(Event, kinds, st.none() | st.integers(0, 3)), max_size=6)


def _tree(draw: st.DrawFn, kind: str, depth: int) -> State:
    """Draw a tree of states without actions and transitions."""
    if kind in ("atomic", "final"):
        return State(type="final" if kind == "final" else None)
    keys = "abc"[: draw(WIDTH)]
    states = {key: _tree(draw, draw(INNER if depth > 1 else OUTER), depth - 1) for key in keys}
    history = draw(HISTORY)
    if history is not None:
        states["h"] = State(type="history", history=history)
    if kind == "parallel":
        return State(type="parallel", states=states)
    return State(initial=keys[0], states=states)


def _by_id(path: str, state: State) -> Iterator[tuple[str, State]]:
    yield path, state
    for key, child in state.states.items():
        yield from _by_id(f"{path}.{key}", child)


def _with_behaviour(draw: st.DrawFn, state: State, states: States) -> State:
    """Add actions and transitions to every state of a tree."""
    if state.type == "history":
        return state
    if state.type == "final":
        return evolve(state, entry=draw(ACTIONS), output=draw(OUTPUT))
    done = draw(ON_DONE) if state.states else None
    return evolve(
        state,
        states={key: _with_behaviour(draw, child, states) for key, child in state.states.items()},
        on={key: _transitions(sketches, states) for key, sketches in draw(ON).items()},
        always=_transitions(draw(ALWAYS), states, guarded=True),
        after={delay: _transitions(sketches, states) for delay, sketches in draw(AFTER).items()},
        on_done=None if done is None else _transitions(done, states),
        entry=draw(ACTIONS),
        exit=draw(ACTIONS),
        tags=draw(TAGS),
    )


def _transitions(
    sketches: list[Sketch], states: States, *, guarded: bool = False
) -> tuple[Transition, ...]:
    return tuple(sketch.transition(states, guarded=guarded) for sketch in sketches)
