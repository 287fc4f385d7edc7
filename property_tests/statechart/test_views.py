"""Laws of views: paths lead to their states, and drawing and linting never fail."""

from itertools import pairwise

from hypothesis import given, settings

from arvo.statechart import Chart, Event, draw, initial, lint, paths, transition
from property_tests.statechart.charts import Counter, charts, events

STEPS = 50  # of the search for paths; enough to leave the initial states


@settings(deadline=None)  # each path is run again from the start
@given(charts())
def test_a_path_leads_to_its_state(chart: Chart[Counter]) -> None:
    """A generated test that misses its state would test another one."""
    for kind in ("shortest", "simple"):
        for path in paths(chart, kind=kind, limit=STEPS):
            snapshot, _ = initial(chart)
            for event in path.events:
                snapshot, _ = transition(chart, snapshot, event)

            assert path.state in snapshot.states
            assert snapshot == path.snapshot


@given(charts())
def test_a_state_that_a_path_reaches_is_not_called_unreachable(chart: Chart[Counter]) -> None:
    """Lint reports only problems that do not depend on the results of guards."""
    unreachable = {problem.path for problem in lint(chart) if problem.kind == "unreachable"}

    assert unreachable.isdisjoint(path.state for path in paths(chart, limit=STEPS))


@given(charts())
def test_shortest_paths_grow(chart: Chart[Counter]) -> None:
    """The search finds them in order, so none is longer than a later one."""
    shortest = paths(chart, limit=STEPS)

    assert all(len(one.events) <= len(next_.events) for one, next_ in pairwise(shortest))


@given(charts(), events())
def test_every_valid_chart_can_be_drawn(chart: Chart[Counter], sequence: list[Event]) -> None:
    """The Mermaid text declares every state exactly once."""
    snapshot, _ = initial(chart)
    for event in sequence:
        snapshot, _ = transition(chart, snapshot, event)
    drawing = draw(chart, snapshot)

    assert drawing.startswith("stateDiagram-v2\n")
    for index in range(len(chart.compiled.tree.nodes)):
        assert drawing.count(f" as n{index}\n") + drawing.count(f" as n{index} {{") == 1
