"""Charts: a strategy for whole statecharts, and one for events they may hear."""

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
MICROSTEPS = 60  # a generated chart that goes on longer is in a loop


@frozen
class Counter:
    """The context of generated charts; small, so that few of them differ."""

    n: int = 0


def is_even(context: Counter, event: Any) -> bool:
    """A guard on the context."""
    return context.n % 2 == 0


def has_data(context: Counter, event: Any) -> bool:
    """A guard on the event."""
    return getattr(event, "data", None) is not None


def count(context: Counter, event: Any) -> Counter:
    """An update that returns after four."""
    return Counter((context.n + 1) % 4)


def report(context: Counter, event: Any) -> Action:
    """An action that depends on the context."""
    return act("report", context.n)


def output(context: Counter, event: Any) -> int:
    """An output that depends on the context."""
    return context.n


@frozen
class Sketch:
    """A transition whose states are numbers still; counted round the states there are."""

    targets: tuple[int, ...] | None
    guard: Guard | int | None
    negated: bool
    actions: tuple[Action, ...]
    reenter: bool

    def transition(self, places: "Places", *, guarded: bool) -> Transition:
        """Make the transition, with a guard at least where it would never come to rest."""
        ids = tuple(places)
        goals = [ids[number % len(ids)] for number in self.targets or ()]
        if len(goals) > 1 and not together(places, *goals):
            goals = goals[:1]
        guard = self.guard
        if isinstance(guard, int):
            guard = state_in(f"#{ids[guard % len(ids)]}")
        if guard is None and guarded:
            guard = or_(is_even, has_data)
        elif guard is not None and self.negated:
            guard = not_(and_(guard, is_even))
        targets = None if self.targets is None else tuple(f"#{goal}" for goal in goals)
        return Transition(targets, guard, actions=self.actions, reenter=self.reenter)


# Every state by its id.
Places = dict[str, State]


def together(places: Places, one: str, other: str) -> bool:
    """Say whether two states lie in different regions, so that one transition may enter both."""
    if "history" in (places[one].type, places[other].type):
        return False
    ahead, behind = one.split("."), other.split(".")
    same = next(
        (n for n, keys in enumerate(zip(ahead, behind, strict=False)) if len(set(keys)) > 1), 0
    )
    return bool(same) and places[".".join(ahead[:same])].type == "parallel"


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
# Built once: Hypothesis checks every strategy that is new to it, at each state of each chart.
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
MOVES = st.lists(SKETCHES, min_size=1, max_size=2)
ON = st.dictionaries(st.sampled_from(DESCRIPTORS), MOVES, max_size=3)
AFTER = st.dictionaries(st.sampled_from((10, 500)), MOVES, max_size=1)
ALWAYS = st.lists(SKETCHES, max_size=1)
ON_DONE = st.none() | MOVES
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
    """Draw a legal chart: hierarchy, regions, histories, finals, guards, timers, the lot."""
    shape = _shape(draw, draw(st.sampled_from(("compound", "parallel"))), 3)
    root = _filled(draw, shape, dict(_places("m", shape)))
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
    """Draw what happens to a chart."""
    kinds = st.sampled_from((*NAMES, "other", "x.q"))
    return st.lists(st.builds(Event, kinds, st.none() | st.integers(0, 3)), max_size=6)


def _shape(draw: st.DrawFn, kind: str, depth: int) -> State:
    """Draw a tree of states that do nothing yet."""
    if kind in ("atomic", "final"):
        return State(type="final" if kind == "final" else None)
    keys = "abc"[: draw(WIDTH)]
    states = {key: _shape(draw, draw(INNER if depth > 1 else OUTER), depth - 1) for key in keys}
    history = draw(HISTORY)
    if history is not None:
        states["h"] = State(type="history", history=history)
    if kind == "parallel":
        return State(type="parallel", states=states)
    return State(initial=keys[0], states=states)


def _places(path: str, state: State) -> Iterator[tuple[str, State]]:
    yield path, state
    for key, child in state.states.items():
        yield from _places(f"{path}.{key}", child)


def _filled(draw: st.DrawFn, state: State, places: Places) -> State:
    """Give every state of a tree something to hear and to do."""
    if state.type == "history":
        return state
    if state.type == "final":
        return evolve(state, entry=draw(ACTIONS), output=draw(OUTPUT))
    done = draw(ON_DONE) if state.states else None
    return evolve(
        state,
        states={key: _filled(draw, child, places) for key, child in state.states.items()},
        on={key: _moves(sketches, places) for key, sketches in draw(ON).items()},
        always=_moves(draw(ALWAYS), places, guarded=True),
        after={delay: _moves(sketches, places) for delay, sketches in draw(AFTER).items()},
        on_done=None if done is None else _moves(done, places),
        entry=draw(ACTIONS),
        exit=draw(ACTIONS),
        tags=draw(TAGS),
    )


def _moves(
    sketches: list[Sketch], places: Places, *, guarded: bool = False
) -> tuple[Transition, ...]:
    return tuple(sketch.transition(places, guarded=guarded) for sketch in sketches)
