"""A chart is checked when it is made, and says everything that is wrong with it."""

import pickle
from datetime import timedelta

import pytest

from arvo.statechart import (
    Branch,
    Chart,
    ChartError,
    Event,
    Problem,
    Schedule,
    State,
    Transition,
    and_,
    choose,
    initial,
    not_,
    raise_,
    state_in,
    transition,
)


class Paid:
    """An event class of somebody else's."""


class Refused:
    """Another."""


def problems(**definition: object) -> list[Problem]:
    """Make a chart and return what is wrong with it."""
    with pytest.raises(ChartError) as caught:
        Chart(id="m", **definition)  # type: ignore[arg-type]
    return list(caught.value.problems)


def test_every_problem_is_named_at_its_state() -> None:
    """One run of the checker is enough to mend a definition."""
    found = problems(
        initial="a",
        states={
            "a": State(on={"GO": "nowhere", "a.*.b": "b"}),
            "b": State(initial="x", states={"c": State(after={"soon": "c"})}),
        },
    )

    assert found == [
        Problem("m.a", "the target 'nowhere' does not exist"),
        Problem("m.a", "'a.*.b' matches nothing: '*' stands alone or as the last token"),
        Problem("m.b", "initial 'x' is not one of c"),
        Problem("m.b.c", "the delay 'soon' is not implemented"),
    ]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (State(states={"x": State()}), "initial must name one of x"),
        (State(type="parallel"), "a state of type parallel needs states"),
        (State(type="final", states={"x": State()}), "a state of type final cannot have states"),
        (State(on={"": "a"}), "an empty event type matches nothing"),
        (State(on={3: "a"}), "3 is neither an event type nor a class"),
        (State(on={"Paid": "a", Paid: "a"}), "the event 'Paid' has two keys"),
        (
            State(on={Event: "a"}),
            "unreachable key form: events of class Event say their own type",
        ),
        (
            State(type="paralel", states={"x": State()}),  # type: ignore[arg-type]
            "the type 'paralel' is none of atomic, compound, parallel, final, history",
        ),
        (
            State(type="finall"),  # type: ignore[arg-type]
            "the type 'finall' is none of atomic, compound, parallel, final, history",
        ),
        (
            State(history="deeep"),  # type: ignore[arg-type]
            "the history 'deeep' is none of shallow, deep",
        ),
        (State(entry=raise_("x", delay="soon")), "the delay 'soon' is not implemented"),
        (
            State(on={"GO": Transition("b", and_(not_(state_in("#nobody"))))}),
            "a guard asks for '#nobody', which does not exist",
        ),
        (
            State(entry=choose(Branch((), state_in("#m.nobody")))),
            "a guard asks for '#m.nobody', which does not exist",
        ),
        (State(entry=[3]), "3 is not an action"),  # type: ignore[list-item]
        (
            State(on={"GO": Transition(["a", "#m"])}),
            "m.a and m cannot be targets together: the outer one brings its own initial state",
        ),
        (
            State(on={"GO": Transition(["a", "b"])}),
            "m.a and m.b cannot be targets together: only one child of a compound state is active",
        ),
    ],
)
def test_a_definition_that_cannot_run_is_refused(state: State, message: str) -> None:
    """What XState finds when the event comes, or never, is found here before anything runs."""
    found = problems(initial="a", states={"a": state, "b": State()})

    assert found == [Problem("m.a", message)]


def test_an_id_belongs_to_one_state() -> None:
    """XState lets the last one win, and a target silently leads elsewhere."""
    found = problems(initial="a", states={"a": State(id="x"), "b": State(id="x")})

    assert found == [Problem("m.b", "the id 'x' is taken by m.a")]


def test_a_history_that_leads_to_itself_is_refused() -> None:
    """Its default would be looked for without end."""
    found = problems(initial="h", states={"a": State(), "h": State(type="history")})

    assert found == [Problem("m.h", "the default of this history leads back to a history")]


def test_a_name_in_place_of_an_action_is_refused_at_once() -> None:
    """Names are for configs that bring implementations along."""
    with pytest.raises(TypeError, match="names are for from_xstate"):
        State(entry="log")  # type: ignore[arg-type]


def test_classes_are_keys_and_their_instances_events() -> None:
    """A chart may be written in terms of what it hears, not of strings."""
    chart = Chart(initial="a", states={"a": State(on={Paid: "b", Refused: "a"}), "b": State()})
    start, _ = initial(chart)

    assert chart.events == ("Paid", "Refused")
    assert transition(chart, start, Paid())[0].value == "b"
    assert transition(chart, start, "Paid")[0].value == "b"


def test_a_name_function_gives_classes_their_event_types() -> None:
    """Those who have event types for their classes keep them."""
    chart = Chart(
        initial="a",
        states={"a": State(on={Paid: "b", "*": "a"}), "b": State()},
        name=lambda key: "evt.paid" if key is Paid else str(key),
    )
    start, _ = initial(chart)

    assert transition(chart, start, Event("evt.paid"))[0].value == "b"
    assert transition(chart, start, Paid())[0].value == "b"


def test_a_delay_may_be_written_in_three_ways() -> None:
    """Milliseconds, a timedelta, or a name; the timer is called as in XState."""
    chart = Chart(
        id="m",
        initial="a",
        states={"a": State(after={50: "b", timedelta(minutes=5): "b", "soon": "b"}), "b": State()},
        delays={"soon": timedelta(seconds=1.5)},
    )

    assert [(timer.id, timer.delay_ms) for timer in initial(chart)[0].timers] == [
        ("xstate.after.50.m.a", 50),
        ("xstate.after.300000.m.a", 300_000),
        ("xstate.after.soon.m.a", 1_500),
    ]


def toggle() -> Chart[None]:
    """Make the smallest chart that moves."""
    states = {"off": State(on={"flip": "on"}), "on": State(on={"flip": "off"})}
    return Chart(id="lamp", initial="off", states=states)


def test_a_chart_travels_and_its_snapshots_with_it() -> None:
    """Caches stay at home; what arrives moves on."""
    chart = toggle()
    snapshot, _ = transition(chart, initial(chart)[0], "flip")

    there, arrived = pickle.loads(pickle.dumps((chart, snapshot)))  # noqa: S301

    assert arrived == snapshot
    assert transition(there, arrived, "flip")[0].value == "off"
    assert transition(chart, arrived, "flip")[0].value == "off"


def test_a_snapshot_of_another_chart_is_not_taken() -> None:
    """Its states are numbers of other states here."""
    other = Chart(id="m", initial="a", states={"a": State()})

    with pytest.raises(ValueError, match="belongs to another chart"):
        transition(toggle(), initial(other)[0], "flip")


def test_unknown_event_types_fill_no_cache() -> None:
    """Whoever can name events must not decide how much memory we use."""
    chart = Chart(
        initial="a", states={"a": State(on={"x.*": "a", "*": Transition("b")}), "b": State()}
    )
    snapshot, _ = initial(chart)
    for number in range(50):
        transition(chart, snapshot, f"x.{number}")
        transition(chart, snapshot, f"hostile.{number}")

    assert len(snapshot.configuration.shortcuts) + len(snapshot.configuration.selections) <= 2


def region(event: str) -> State:
    """Make a region that goes to and fro on *event*."""
    return State(initial="a", states={"a": State(on={event: "b"}), "b": State(on={event: "a"})})


def test_memory_is_bounded() -> None:
    """A chart with many configurations forgets, rather than grow."""
    regions = {
        f"r{n}": State(
            initial="a", states={"a": State(on={f"E{n}": "b"}), "b": State(on={f"E{n}": "a"})}
        )
        for n in range(8)
    }
    chart = Chart(type="parallel", states=regions, memory=20)
    snapshot, _ = initial(chart)
    for number in range(2_000):
        snapshot, _ = transition(chart, snapshot, f"E{number % 8 if number % 3 else number % 5}")

    assert chart.compiled.remembered <= 20


def test_a_timer_that_is_due_is_handed_back() -> None:
    """Handed back twice, or after it was stopped, it changes nothing."""
    chart = Chart(id="m", initial="a", states={"a": State(after={10: "b"}), "b": State()})
    start, commands = initial(chart)
    (timer,) = start.timers

    after, _ = transition(chart, start, timer)

    assert commands == (timer,)
    assert timer == Schedule(Event("xstate.after.10.m.a"), 10, "xstate.after.10.m.a")
    assert (after.value, after.timers) == ("b", ())
    assert transition(chart, after, timer) == (after, ())


def test_a_dot_and_a_star_match_what_begins_with_a_dot() -> None:
    """As in XState; only the star alone matches everything."""
    chart = Chart(initial="a", states={"a": State(on={".*": "b"}), "b": State()})
    start, _ = initial(chart)

    assert transition(chart, start, "GO")[0].value == "a"
    assert transition(chart, start, ".GO")[0].value == "b"


class Said:
    """An event class whose own type is its key."""

    type = "Said"


def test_a_class_may_have_a_type_that_is_its_name() -> None:
    """Then both ways to name its events agree."""
    chart = Chart(initial="a", states={"a": State(on={Said: "b"}), "b": State()})

    assert transition(chart, initial(chart)[0], Said())[0].value == "b"
