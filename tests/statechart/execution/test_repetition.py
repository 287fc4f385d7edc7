"""Repetition: a macrostep that returns to an earlier state is a loop at once."""

from typing import Any

from attrs import frozen

from arvo.statechart import Chart, LoopFault, State, Transition, assign, initial, raise_
from arvo.statechart.compiled.chart import MICROSTEPS_MAX


@frozen
class Count:
    n: int


def run(context: Any, update: Any) -> tuple[Any, list[Any]]:
    """Start a chart whose two states lead to each other, and return the contexts of its turns."""
    seen: list[Any] = []

    def step(context: Any, event: object) -> Any:
        seen.append(context)
        return update(context)

    chart = Chart(
        initial="a",
        context=context,
        states={
            "a": State(always=Transition("b", actions=[assign(step)])),
            "b": State(always="a"),
        },
    )
    return initial(chart)[0].error, seen


def test_a_chart_that_returns_to_the_same_state_is_stopped_at_once() -> None:
    """Ten thousand microsteps took more than a second, in which nothing else ran."""
    for context, update in (
        (Count(1), lambda context: Count(context.n)),
        ({"n": 1}, lambda context: {"n": context["n"]}),
        (1, lambda context: 3 - context),
    ):
        fault, seen = run(context, update)

        assert isinstance(fault, LoopFault)
        assert fault.loop == ("(machine).b always", "(machine).a always")
        assert len(seen) < 100


def test_a_chart_that_makes_progress_runs_to_the_limit() -> None:
    """It may become stable at any microstep before."""

    def count_in_place(context: dict[str, int]) -> dict[str, int]:
        context["n"] += 1
        return context

    for context, update in (
        (1, lambda context: context + 1),
        ({"n": 1}, count_in_place),
        (float("nan"), lambda context: context * 1.0),
    ):
        fault, seen = run(context, update)

        assert isinstance(fault, LoopFault)
        assert len(seen) == MICROSTEPS_MAX // 2


def test_a_context_that_cannot_be_compared_runs_to_the_limit() -> None:
    """A NumPy array raises when it is compared as one value."""

    @frozen(eq=False)
    class Array:
        def __eq__(self, other: object) -> bool:
            raise ValueError

        __hash__ = None  # type: ignore[assignment]

    fault, seen = run(Array(), lambda _: Array())

    assert isinstance(fault, LoopFault)
    assert len(seen) == MICROSTEPS_MAX // 2


def test_events_that_pile_up_are_no_repetition() -> None:
    """The chart is in another state with each event that waits."""
    chart = Chart(
        initial="a",
        states={"a": State(on={"GO": Transition("a", actions=[raise_("GO"), raise_("GO")])})},
        entry=raise_("GO"),
        limit=200,
    )

    assert isinstance(initial(chart)[0].error, LoopFault)
