"""Laws of what is said about charts: paths lead where they say, drawing and linting never fail."""

from itertools import pairwise

from hypothesis import given, settings

from arvo.statechart import Chart, Event, draw, initial, lint, paths, transition
from property_tests.statechart.charts import Counter, charts, events

STEPS = 50  # tried in search of paths; enough to leave the initial states behind


@settings(deadline=None)  # each path is run again from the start
@given(charts())
def test_a_path_leads_where_it_says(chart: Chart[Counter]) -> None:
    """A generated test that does not reach its state would test something else."""
    for kind in ("shortest", "simple"):
        for path in paths(chart, kind=kind, limit=STEPS):
            snapshot, _ = initial(chart)
            for event in path.events:
                snapshot, _ = transition(chart, snapshot, event)

            assert path.state in snapshot.states
            assert snapshot == path.snapshot


@given(charts())
def test_a_state_that_a_path_reaches_is_not_called_unreachable(chart: Chart[Counter]) -> None:
    """Lint says only what is true whatever the guards answer."""
    unreachable = {finding.path for finding in lint(chart) if finding.kind == "unreachable"}

    assert unreachable.isdisjoint(path.state for path in paths(chart, limit=STEPS))


@given(charts())
def test_shortest_paths_grow(chart: Chart[Counter]) -> None:
    """They are found in order, so none is longer than one found later."""
    found = paths(chart, limit=STEPS)

    assert all(len(one.events) <= len(next_.events) for one, next_ in pairwise(found))


@given(charts(), events())
def test_every_legal_chart_can_be_drawn(chart: Chart[Counter], heard: list[Event]) -> None:
    """Mermaid text names every state, and each line says something once."""
    snapshot, _ = initial(chart)
    for event in heard:
        snapshot, _ = transition(chart, snapshot, event)
    drawing = draw(chart, snapshot)

    assert drawing.startswith("stateDiagram-v2\n")
    for index in range(len(chart.compiled.tree.nodes)):
        assert drawing.count(f" as n{index}\n") + drawing.count(f" as n{index} {{") == 1
