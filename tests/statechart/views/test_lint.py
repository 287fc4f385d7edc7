"""Lint finds what a definition allows and nobody means."""

import pytest

from arvo.statechart import Chart, Finding, State, Transition, assign, lint, raise_
from tests.statechart.corpora import chart_of, differential


def yes(context: object, event: object) -> bool:
    """A guard."""
    return True


@pytest.mark.parametrize(
    ("states", "finding"),
    [
        (
            {"a": State(on={"GO": "a"}), "b": State(on={"GO": "a"})},
            Finding("unreachable", "m.b", "no transition enters this state"),
        ),
        (
            {"a": State(on={"GO": "b"}), "b": State(on={"GO": Transition()})},
            Finding("dead end", "m.b", "nothing leaves this state, and it is not final"),
        ),
        (
            {"a": State(always="b"), "b": State(always="a")},
            Finding("always loop", "m.a", "no guard stops m.a -> m.b -> m.a"),
        ),
        (
            {"a": State(entry=raise_("X"), always=Transition("a", reenter=True), on={"X": "a"})},
            Finding("always loop", "m.a", "no guard stops m.a -> m.a"),
        ),
        (
            {"a": State(on={"X": "a"}, always=Transition(actions=assign(lambda c, e: c)))},
            Finding("always loop", "m.a", "an assign without guard or target"),
        ),
        (
            {"a": State(on={"GO": ["b", Transition("a", yes)]}), "b": State(on={"GO": "a"})},
            Finding("shadowed", "m.a", "m.a on GO [yes] stands behind one without a guard"),
        ),
        (
            {"a": State(on={"GO": Transition("a", actions=raise_("LOST"))})},
            Finding("unhandled", "m.a", "LOST is raised, and no state hears it"),
        ),
        (
            {"a": State(initial="x", on_done="b", states={"x": State()}), "b": State(type="final")},
            Finding("endless", "m.a", "on_done waits for a final child, and none is entered"),
        ),
    ],
)
def test_a_doubt_is_named_at_its_state(states: dict[str, State], finding: Finding) -> None:
    """Each kind once, and nothing else is said of the chart."""
    found = lint(Chart(id="m", initial="a", states=states))

    assert [one for one in found if one.kind == finding.kind] == [finding]


def test_a_region_that_never_ends_keeps_its_parallel_state_open() -> None:
    """The other regions may finish, and on_done still never comes."""
    ends = State(initial="x", states={"x": State(on={"GO": "y"}), "y": State(type="final")})
    stays = State(initial="x", states={"x": State(on={"GO": "x"})})
    both = State(type="parallel", states={"ends": ends, "stays": stays}, on_done="b")
    chart = Chart(id="m", initial="a", states={"a": both, "b": State(type="final")})

    message = "this region never finishes, so its parallel state does not either"
    assert Finding("endless", "m.a.stays", message) in lint(chart)


def test_events_that_are_expected_are_looked_for() -> None:
    """A contract says what comes; the chart should hear it."""
    chart = Chart(id="m", initial="a", states={"a": State(on={"x.*": "a"})})

    found = lint(chart, events=["x.y", "z"])

    assert Finding("unhandled", "m", "no state hears z") in found
    assert not any("x.y" in finding.message for finding in found)


def test_a_clean_chart_is_not_talked_about() -> None:
    """A linter that cries wolf is switched off."""
    states = {"off": State(on={"flip": "on"}), "on": State(on={"flip": "off"}, after={10: "off"})}

    assert lint(Chart(initial="off", states=states)) == ()


def test_every_recorded_machine_can_be_linted() -> None:
    """Random machines have everything in them."""
    for _, case in differential()[::20]:
        chart = chart_of(case["m"], case, memory=0)
        assert lint(chart) == lint(chart)


def test_a_region_that_restarts_its_siblings_lets_them_out() -> None:
    """Its transition leaves the whole parallel state, and so whatever is inside."""
    stuck = State(initial="x", states={"x": State(on={"GO": "y"}), "y": State()})
    both = {"stuck": stuck, "other": State(on={"AGAIN": "stuck"})}

    assert lint(Chart(id="m", type="parallel", states=both)) == ()
