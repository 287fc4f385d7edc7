"""Laws of a step: its configuration is legal, it is a function, and its caches do not show."""

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import evolve
from hypothesis import given

from arvo.statechart import (
    Chart,
    Command,
    Event,
    Snapshot,
    State,
    assign,
    can,
    dump,
    from_xstate,
    initial,
    load,
    to_xstate,
    transition,
)
from property_tests.statechart.charts import (
    Counter,
    charts,
    count,
    events,
    has_data,
    is_even,
    output,
    report,
)

Step = tuple[Snapshot[Counter], tuple[Command, ...]]


def run(chart: Chart[Counter], sequence: Sequence[object]) -> Iterator[Step]:
    """Run *chart* from its start and yield the result of every step."""
    snapshot, commands = initial(chart)
    yield snapshot, commands
    for event in sequence:
        snapshot, commands = transition(chart, snapshot, event)
        yield snapshot, commands


@given(charts(), events())
def test_a_configuration_is_always_legal(chart: Chart[Counter], sequence: list[Event]) -> None:
    """It has one child of every compound state and all regions of every parallel one."""
    for snapshot, _ in run(chart, sequence):
        if snapshot.states:
            assert illegal_states("m", chart, snapshot.states) == []


@given(charts(), events())
def test_the_same_step_twice_is_the_same(chart: Chart[Counter], sequence: list[Event]) -> None:
    """A redelivered event must lead to the same commands, or events are sent twice."""
    for snapshot, _ in run(chart, sequence):
        before = copy.copy(snapshot), repr(snapshot), snapshot.history, snapshot.timers
        for event in sequence:
            first = transition(chart, snapshot, event)
            second = transition(chart, snapshot, event)

            assert first == second
            assert (snapshot, repr(snapshot), snapshot.history, snapshot.timers) == before


@given(charts(), events())
def test_a_chart_without_a_cache_behaves_the_same(
    chart: Chart[Counter], sequence: list[Event]
) -> None:
    """Caches are for speed: without one, and with one that overflows, every step is equal."""
    expected = list(run(chart, sequence))

    for memory in (0, 1, 5):
        assert list(run(with_cache_size(chart, memory=memory), sequence)) == expected


@given(charts(), events())
def test_an_event_without_an_effect_returns_the_same_snapshot(
    chart: Chart[Counter], sequence: list[Event]
) -> None:
    """Callers compare snapshots by identity."""
    snapshot, _ = initial(chart)
    for event in sequence:
        taken = can(chart, snapshot, event)
        after, commands = transition(chart, snapshot, event)
        if snapshot.status != "active":
            assert (taken, after is snapshot, commands) == (False, True, ())
        if after == snapshot and after.status == "active" and after is not snapshot:
            assert taken or commands or after.context is not snapshot.context
        snapshot = after


@given(charts(), events())
def test_a_dumped_snapshot_continues_like_the_original(
    chart: Chart[Counter], sequence: list[Event]
) -> None:
    """A workflow is stored in a database between any two events."""
    for snapshot, _ in run(chart, sequence):
        loaded = load(chart, json.loads(json.dumps(dump(chart, snapshot))))

        assert isinstance(loaded, Snapshot)
        assert loaded == snapshot
        for event in (*sequence, *snapshot.timers):
            assert transition(chart, loaded, event) == transition(chart, snapshot, event)


@given(charts(), events())
def test_a_timer_fires_once(chart: Chart[Counter], sequence: list[Event]) -> None:
    """The second delivery of the same timer changes nothing."""
    for snapshot, _ in run(chart, sequence):
        for timer in snapshot.timers:
            after, _ = transition(chart, snapshot, timer)
            remaining = after.timers.count(timer)
            if remaining < snapshot.timers.count(timer) and remaining == 0:
                assert transition(chart, after, timer) == (after, ())


@given(charts(), events())
def test_a_chart_written_for_xstate_reads_back_the_same(
    chart: Chart[Counter], sequence: list[Event]
) -> None:
    """JSON holds everything but functions, which the caller passes in again."""
    config = json.loads(json.dumps(to_xstate(chart)))
    config["output"] = output
    config["context"] = Counter()
    loaded = from_xstate(
        restore_emits(config),
        actions={"count": assign_count, "report": report},
        guards={"is_even": is_even, "has_data": has_data},
        commands={"log"},
        limit=chart.limit,
    )

    assert list(without_faults(run(loaded, sequence))) == list(without_faults(run(chart, sequence)))


def without_faults(steps: Iterator[Step]) -> Iterator[Any]:
    """Yield the parts of each step that do not depend on the names in faults."""
    for snapshot, commands in steps:
        yield snapshot.value, snapshot.context, snapshot.status, snapshot.timers, commands


def restore_emits(config: Any) -> Any:
    """Replace the name in an emit by the function that it stands for."""
    if isinstance(config, list):
        return [restore_emits(part) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("type") == "emit":
        return {"type": "emit", "event": report}
    return {key: restore_emits(part) for key, part in config.items()}


assign_count = assign(count)


def with_cache_size(chart: Chart[Counter], *, memory: int) -> Chart[Counter]:
    """Make the same chart with another cache size."""
    return evolve(chart, memory=memory)


def illegal_states(path: str, state: State, active: frozenset[str]) -> list[str]:
    """List the states that make a configuration illegal at or below *state*, which is active."""
    children = {k: c for k, c in state.states.items() if c.type != "history"}
    active_keys = [key for key in children if f"{path}.{key}" in active]
    expected = len(children) if state.type == "parallel" else min(1, len(children))
    illegal = [] if path in active and len(active_keys) == expected else [path]
    for key, child in children.items():
        if key in active_keys:
            illegal += illegal_states(f"{path}.{key}", child, active)
        else:
            illegal += [name for name in active if name.startswith(f"{path}.{key}.")]
    return illegal
