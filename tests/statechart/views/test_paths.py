"""Paths: event sequences to every reachable state."""

from arvo.statechart import Chart, Event, State, Transition, assign, paths
from arvo.statechart.views.paths import sample_events


def door() -> Chart[dict[str, int]]:
    """Make a door with a lock that needs a number, and with a timer."""
    count = assign(lambda c, e: {"n": c["n"] + 1})
    return Chart(
        id="door",
        initial="open",
        context={"n": 0},
        states={
            "open": State(on={"shut": Transition("shut", actions=count)}, after={100: "creaking"}),
            "shut": State(
                on={"lock": Transition("locked", lambda c, e: e.data == 42), "open": "open"}
            ),
            "locked": State(type="final"),
            "creaking": State(on={"shut": "shut"}),
        },
    )


def test_the_shortest_path_to_each_state_is_found() -> None:
    """Timers count as events, and a counter in the context makes no new position."""
    found = {path.state: path.events for path in paths(door())}

    assert found == {
        "door": (),
        "door.open": (),
        "door.shut": (Event("shut"),),
        "door.creaking": (Event("xstate.after.100.door.open"),),
    }


def test_an_explicit_event_may_pass_a_guard() -> None:
    """The search cannot guess the data."""
    found = paths(door(), [Event("shut"), Event("lock", 42)])

    assert [path.state for path in found][-1] == "door.locked"


def test_simple_paths_visit_no_position_twice() -> None:
    """All of them are returned, including the longer ones."""
    found = paths(door(), ["shut", "open", "xstate.after.100.door.open"], kind="simple")

    event_sequences = {path.events for path in found if path.state == "door.shut"}
    after = "xstate.after.100.door.open"
    assert {("shut",), (after, "shut")} <= event_sequences


def test_the_search_is_bounded() -> None:
    """The simple paths of parallel regions would otherwise never end."""
    region = State(initial="a", states={"a": State(on={"*": "b"}), "b": State()})
    states = dict.fromkeys("abcdefghijkl", region)
    chart: Chart[None] = Chart(type="parallel", states=states)

    assert len(paths(chart, kind="simple", limit=100)) <= 101 * 25


def test_simple_paths_lead_to_states_with_children_too() -> None:
    """A test for each state needs a path to each."""
    inner = State(initial="x", states={"x": State()})
    chart: Chart[None] = Chart(id="m", initial="a", states={"a": inner})

    assert {path.state for path in paths(chart, kind="simple")} == {"m", "m.a", "m.a.x"}


def test_a_wildcard_is_tried_with_a_type_that_only_it_matches() -> None:
    """An event that an exact key matches would not reach the target of the wildcard."""
    keys = ["any", "*", "pay", "pay.any", "pay.*", "ship.*", ".*"]
    chart: Chart[None] = Chart(initial="a", states={"a": State(on=dict.fromkeys(keys, "a"))})

    assert [event.type for event in sample_events(chart)] == [
        "any",
        "any_",
        "pay",
        "pay.any",
        "pay.any_",
        "ship",
        ".any",
    ]
