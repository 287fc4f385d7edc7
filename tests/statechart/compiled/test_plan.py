"""Plan: a microstep leads from one legal configuration to another, whatever histories recorded."""

from typing import Any

from arvo.statechart import Act, Chart, State, Transition, act, initial, transition


def test_a_history_in_a_region_enters_the_other_regions_again() -> None:
    """XState does not enter them again, which leaves no legal configuration."""
    chart = Chart(
        id="m",
        type="parallel",
        states={
            "a": State(
                type="parallel",
                states={"x": State(on={"go": "#m.a.h"}), "h": State(type="history")},
            ),
            "b": State(entry=act("b again")),
        },
    )
    start, _ = initial(chart)

    after, commands = transition(chart, start, "go")

    assert after.value == start.value == {"a": {"x": {}}, "b": {}}
    assert commands == (Act("b again"),)


def test_a_chart_that_leaves_its_parallel_root_by_history_keeps_its_root() -> None:
    """XState loses the root, because it computes the domain again after it wrote the history."""
    reenter = Transition("#m.h", lambda c, e: True, reenter=True)
    states = {"a": State(on={"GO": reenter}), "h": State(type="history")}
    machine: Chart[None] = Chart(id="m", type="parallel", states=states)

    after, _ = transition(machine, initial(machine)[0], "GO")

    assert after.states == {"m", "m.a"}


def test_a_history_of_the_source_and_a_restart_enter_no_two_children() -> None:
    """Two active children of a compound state are no legal configuration."""
    inner = {
        "a": State(on={"F": "b"}),
        "b": State(on={"G": "h"}),
        "h": State(type="history"),
    }
    machine: Chart[Any] = Chart(
        id="m",
        type="parallel",
        states={
            "a": State(on={"G": "b"}),
            "b": State(),
            "c": State(initial="a", states=inner),
        },
    )
    snapshot, _ = initial(machine)
    for event in "FGFG":
        snapshot, _ = transition(machine, snapshot, event)

    assert snapshot.states == {"m", "m.a", "m.b", "m.c", "m.c.a"}
