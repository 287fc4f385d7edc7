"""Lint: likely mistakes in valid charts."""

import pytest

from arvo.statechart import Chart, Problem, State, Transition, assign, lint, raise_
from tests.statechart.corpora import differential, make_chart


def yes(context: object, event: object) -> bool:
    """Return True."""
    return True


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        (
            {"a": State(on={"GO": "a"}), "b": State(on={"GO": "a"})},
            Problem("m.b", "a state that no transition enters", "unreachable"),
        ),
        (
            {"a": State(on={"GO": "b"}), "b": State(on={"GO": Transition()})},
            Problem("m.b", "a state that is not final and that no transition leaves", "dead end"),
        ),
        (
            {"a": State(always="b"), "b": State(always="a")},
            Problem("m.a", "the loop m.a -> m.b -> m.a without a guard", "always loop"),
        ),
        (
            {"a": State(entry=raise_("X"), always=Transition("a", reenter=True), on={"X": "a"})},
            Problem("m.a", "the loop m.a -> m.a without a guard", "always loop"),
        ),
        (
            {"a": State(on={"X": "a"}, always=Transition(actions=assign(lambda c, e: c)))},
            Problem(
                "m.a",
                "an always transition that assigns, without a guard or a target",
                "always loop",
            ),
        ),
        (
            {"a": State(on={"GO": ["b", Transition("a", yes)]}), "b": State(on={"GO": "a"})},
            Problem("m.a", "m.a on GO [yes] after a transition without a guard", "shadowed"),
        ),
        (
            {"a": State(on={"GO": Transition("a", actions=raise_("LOST"))})},
            Problem(
                "m.a",
                "the event LOST, which is raised here and which no state handles",
                "unhandled",
            ),
        ),
        (
            {"a": State(initial="x", on_done="b", states={"x": State()}), "b": State(type="final")},
            Problem(
                "m.a", "an on_done without a final child that some transition enters", "endless"
            ),
        ),
    ],
)
def test_a_problem_is_reported_at_its_state(states: dict[str, State], problem: Problem) -> None:
    """Each kind is reported once."""
    problems = lint(Chart(id="m", initial="a", states=states))

    assert [found for found in problems if found.kind == problem.kind] == [problem]


def test_a_region_that_never_finishes_is_reported() -> None:
    """The other regions may finish, but on_done never happens."""
    ends = State(initial="x", states={"x": State(on={"GO": "y"}), "y": State(type="final")})
    stays = State(initial="x", states={"x": State(on={"GO": "x"})})
    both = State(type="parallel", states={"ends": ends, "stays": stays}, on_done="b")
    chart = Chart(id="m", initial="a", states={"a": both, "b": State(type="final")})

    message = "a region that never finishes, so its parallel state does not either"
    assert Problem("m.a.stays", message, "endless") in lint(chart)


def test_expected_events_without_a_handler_are_reported() -> None:
    """A contract lists the events that come; the chart should handle them."""
    chart = Chart(id="m", initial="a", states={"a": State(on={"x.*": "a"})})

    problems = lint(chart, events=["x.y", "z"])

    assert Problem("m", "the event z, which no state handles", "unhandled") in problems
    assert not any("x.y" in problem.message for problem in problems)


def test_a_correct_chart_has_no_problems() -> None:
    """A linter with false alarms is switched off."""
    states = {"off": State(on={"flip": "on"}), "on": State(on={"flip": "off"}, after={10: "off"})}

    assert lint(Chart(initial="off", states=states)) == ()


def test_every_recorded_machine_can_be_linted() -> None:
    """Random machines contain every construct."""
    for _, case in differential()[::20]:
        chart = make_chart(case["m"], case, memory=0)
        assert lint(chart) == lint(chart)


def test_a_region_that_restarts_its_siblings_ends_a_dead_end() -> None:
    """Its transition leaves the whole parallel state, with everything in it."""
    stuck = State(initial="x", states={"x": State(on={"GO": "y"}), "y": State()})
    both = {"stuck": stuck, "other": State(on={"AGAIN": "stuck"})}

    assert lint(Chart(id="m", type="parallel", states=both)) == ()
