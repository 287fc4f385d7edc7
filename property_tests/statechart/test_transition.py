"""Laws of a step: it stays legal, it is a function, and what is remembered does not show."""

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


def run(chart: Chart[Counter], heard: Sequence[object]) -> Iterator[Step]:
    """Run *chart* from its start and yield what every step comes to."""
    snapshot, commands = initial(chart)
    yield snapshot, commands
    for event in heard:
        snapshot, commands = transition(chart, snapshot, event)
        yield snapshot, commands


@given(charts(), events())
def test_a_configuration_is_always_legal(chart: Chart[Counter], heard: list[Event]) -> None:
    """One child of every compound state, and all regions of every parallel one."""
    for snapshot, _ in run(chart, heard):
        if snapshot.states:
            assert misfits("m", chart, snapshot.states) == []


@given(charts(), events())
def test_the_same_step_twice_is_the_same(chart: Chart[Counter], heard: list[Event]) -> None:
    """A redelivered event must come to the same commands, or something is sent twice."""
    for snapshot, _ in run(chart, heard):
        before = copy.copy(snapshot), repr(snapshot), snapshot.history, snapshot.timers
        for event in heard:
            first = transition(chart, snapshot, event)
            second = transition(chart, snapshot, event)

            assert first == second
            assert (snapshot, repr(snapshot), snapshot.history, snapshot.timers) == before


@given(charts(), events())
def test_a_chart_that_remembers_nothing_moves_the_same(
    chart: Chart[Counter], heard: list[Event]
) -> None:
    """Caches are for speed: with none, and with ones that overflow, every step is equal."""
    expected = list(run(chart, heard))

    for memory in (0, 1, 5):
        assert list(run(rebuilt(chart, memory=memory), heard)) == expected


@given(charts(), events())
def test_a_snapshot_changes_only_where_something_happened(
    chart: Chart[Counter], heard: list[Event]
) -> None:
    """What cannot be taken and leads to nothing hands the very same snapshot back."""
    snapshot, _ = initial(chart)
    for event in heard:
        taken = can(chart, snapshot, event)
        after, commands = transition(chart, snapshot, event)
        if snapshot.status != "active":
            assert (taken, after is snapshot, commands) == (False, True, ())
        if after == snapshot and after.status == "active" and after is not snapshot:
            assert taken or commands or after.context is not snapshot.context
        snapshot = after


@given(charts(), events())
def test_a_dumped_snapshot_goes_on_as_if_nothing_had_been(
    chart: Chart[Counter], heard: list[Event]
) -> None:
    """A workflow may sleep in a database between any two events."""
    for snapshot, _ in run(chart, heard):
        loaded = load(chart, json.loads(json.dumps(dump(chart, snapshot))))

        assert isinstance(loaded, Snapshot)
        assert loaded == snapshot
        for event in (*heard, *snapshot.timers):
            assert transition(chart, loaded, event) == transition(chart, snapshot, event)


@given(charts(), events())
def test_a_timer_comes_due_once(chart: Chart[Counter], heard: list[Event]) -> None:
    """The second delivery of the same timer finds it gone."""
    for snapshot, _ in run(chart, heard):
        for timer in snapshot.timers:
            after, _ = transition(chart, snapshot, timer)
            left = after.timers.count(timer)
            if left < snapshot.timers.count(timer) and left == 0:
                assert transition(chart, after, timer) == (after, ())


@given(charts(), events())
def test_a_chart_written_for_xstate_reads_back_the_same(
    chart: Chart[Counter], heard: list[Event]
) -> None:
    """What JSON can say is said: only functions have to be handed in again."""
    config = json.loads(json.dumps(to_xstate(chart)))
    config["output"] = output
    config["context"] = Counter()
    read = from_xstate(
        renamed(config),
        actions={"count": assign_count, "report": report},
        guards={"is_even": is_even, "has_data": has_data},
        commands={"log"},
        limit=chart.limit,
    )

    assert list(told(run(read, heard))) == list(told(run(chart, heard)))


def told(steps: Iterator[Step]) -> Iterator[Any]:
    """Tell what does not depend on the names that faults carry."""
    for snapshot, commands in steps:
        yield snapshot.value, snapshot.context, snapshot.status, snapshot.timers, commands


def renamed(config: Any) -> Any:
    """Put the one function that an emit holds back in its place."""
    if isinstance(config, list):
        return [renamed(part) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("type") == "emit":
        return {"type": "emit", "event": report}
    return {key: renamed(part) for key, part in config.items()}


assign_count = assign(count)


def rebuilt(chart: Chart[Counter], *, memory: int) -> Chart[Counter]:
    """Make the same chart with another size of memory."""
    return evolve(chart, memory=memory)


def misfits(path: str, state: State, active: frozenset[str]) -> list[str]:
    """List what breaks the shape of a configuration below *state*, which is active."""
    children = {k: c for k, c in state.states.items() if c.type != "history"}
    inside = [key for key in children if f"{path}.{key}" in active]
    wanted = len(children) if state.type == "parallel" else min(1, len(children))
    found = [] if path in active and len(inside) == wanted else [path]
    for key, child in children.items():
        if key in inside:
            found += misfits(f"{path}.{key}", child, active)
        else:
            found += [name for name in active if name.startswith(f"{path}.{key}.")]
    return found
