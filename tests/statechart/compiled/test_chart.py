"""Chart: keys and delays, pickling, and a bounded cache."""

import pickle
from datetime import timedelta

import pytest

from arvo.statechart import (
    Chart,
    Event,
    Schedule,
    State,
    Transition,
    initial,
    transition,
)


class Paid:
    """An event class of another library."""


class Refused:
    """Another event class."""


def test_classes_are_keys_and_their_instances_events() -> None:
    """A chart may use event classes instead of strings."""
    chart = Chart(initial="a", states={"a": State(on={Paid: "b", Refused: "a"}), "b": State()})
    start, _ = initial(chart)

    assert chart.events == ("Paid", "Refused")
    assert transition(chart, start, Paid())[0].value == "b"
    assert transition(chart, start, "Paid")[0].value == "b"


def test_a_name_function_gives_classes_their_event_types() -> None:
    """An application that has event types for its classes can use them."""
    chart = Chart(
        initial="a",
        states={"a": State(on={Paid: "b", "*": "a"}), "b": State()},
        name=lambda key: "evt.paid" if key is Paid else str(key),
    )
    start, _ = initial(chart)

    assert transition(chart, start, Event("evt.paid"))[0].value == "b"
    assert transition(chart, start, Paid())[0].value == "b"


def test_a_delay_may_be_written_in_three_ways() -> None:
    """Milliseconds, a timedelta, or a name. The timer has the id that XState gives it."""
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
    """Make the smallest chart that has a transition."""
    states = {"off": State(on={"flip": "on"}), "on": State(on={"flip": "off"})}
    return Chart(id="lamp", initial="off", states=states)


def test_a_chart_and_its_snapshots_can_be_pickled() -> None:
    """The caches are not pickled, and the copies work."""
    chart = toggle()
    snapshot, _ = transition(chart, initial(chart)[0], "flip")

    copied_chart, copied_snapshot = pickle.loads(pickle.dumps((chart, snapshot)))  # noqa: S301

    assert copied_snapshot == snapshot
    assert transition(copied_chart, copied_snapshot, "flip")[0].value == "off"
    assert transition(chart, copied_snapshot, "flip")[0].value == "off"


def test_a_snapshot_of_another_chart_is_rejected() -> None:
    """Its state numbers mean other states here."""
    other = Chart(id="m", initial="a", states={"a": State()})

    with pytest.raises(ValueError, match="belongs to another chart"):
        transition(toggle(), initial(other)[0], "flip")


def test_unknown_event_types_fill_no_cache() -> None:
    """A sender that chooses event types must not decide how much memory we use."""
    chart = Chart(
        initial="a", states={"a": State(on={"x.*": "a", "*": Transition("b")}), "b": State()}
    )
    snapshot, _ = initial(chart)
    for number in range(50):
        transition(chart, snapshot, f"x.{number}")
        transition(chart, snapshot, f"hostile.{number}")

    assert len(snapshot.configuration.shortcuts) + len(snapshot.configuration.selections) <= 2


def test_the_cache_is_bounded() -> None:
    """A chart with many configurations clears it instead of growing."""
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

    assert chart.compiled.cached_entries <= 20


def test_a_timer_that_is_due_is_an_event() -> None:
    """A duplicate, or one that comes after the timer was cancelled, changes nothing."""
    chart = Chart(id="m", initial="a", states={"a": State(after={10: "b"}), "b": State()})
    start, commands = initial(chart)
    (timer,) = start.timers

    after, _ = transition(chart, start, timer)

    assert commands == (timer,)
    assert timer == Schedule(Event("xstate.after.10.m.a"), 10, "xstate.after.10.m.a")
    assert (after.value, after.timers) == ("b", ())
    assert transition(chart, after, timer) == (after, ())


def test_a_dot_and_a_star_match_types_that_begin_with_a_dot() -> None:
    """As in XState; only the star alone matches every event."""
    chart = Chart(initial="a", states={"a": State(on={".*": "b"}), "b": State()})
    start, _ = initial(chart)

    assert transition(chart, start, "GO")[0].value == "a"
    assert transition(chart, start, ".GO")[0].value == "b"


class Typed:
    """An event class whose own type equals its key."""

    type = "Typed"


def test_a_class_may_have_a_type_that_is_its_name() -> None:
    """Both ways to name its events then agree."""
    chart = Chart(initial="a", states={"a": State(on={Typed: "b"}), "b": State()})

    assert transition(chart, initial(chart)[0], Typed())[0].value == "b"
