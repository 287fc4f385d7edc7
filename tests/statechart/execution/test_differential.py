"""Every recorded machine does what XState did with it, event by event."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from arvo.statechart import Chart, Command, Snapshot, can, initial, transition
from tests.statechart.corpora import chart_of, differential, event_of, written

LINES_PER_TEST = 50
MEMORIES = {"remembering": 4_096, "tight": 7, "forgetting": 0}

CASES = differential()
CHUNKS = [CASES[start : start + LINES_PER_TEST] for start in range(0, len(CASES), LINES_PER_TEST)]


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES.keys())
@pytest.mark.parametrize("chunk", CHUNKS, ids=[f"from line {chunk[0][0]}" for chunk in CHUNKS])
def test_a_recorded_machine_moves_as_in_xstate(
    chunk: list[tuple[int, dict[str, Any]]], memory: int
) -> None:
    """Twice on one chart: what the first run left in the caches must not show in the second."""
    differences = []
    for line, case in chunk:
        chart = chart_of(case["m"], case, memory=memory)
        differences += [f"line {line}: {text}" for _ in range(2) for text in differing(chart, case)]

    assert differences == []


def differing(chart: Chart[Any], case: Mapping[str, Any]) -> Iterator[str]:
    """Run *case* on *chart* and say where the two part."""
    snapshot, commands = initial(chart, case.get("input"))
    if case["init"].get("s") == "error":
        if snapshot.status != "error":
            yield f"init: {snapshot.status} instead of an error"
        return
    context = case["init"].get("c", {})
    yield from unlike("init", snapshot, commands, case["init"], context)
    for number, step in enumerate(case["steps"]):
        where, event = f"step {number}", event_of(step["e"])
        if "can" in step and can(chart, snapshot, event) is not step["can"]:
            yield f"{where}: can is not {step['can']}"
        before, before_repr = snapshot, repr(snapshot)
        snapshot, commands = transition(chart, before, event)
        context = step.get("c", context)
        if repr(before) != before_repr:
            yield f"{where}: the snapshot before changed in place"
        if "same" in step and not is_same(before, snapshot, recorded=step["same"]):
            yield f"{where}: same is not {step['same']}"
        if before.status != "active" and snapshot is before:
            # What comes after the end is recorded without the output that stays.
            step = {**step, "o": before.output}
        yield from unlike(where, snapshot, commands, step, context)


def is_same(before: Snapshot[Any], after: Snapshot[Any], *, recorded: bool) -> bool:
    """Say whether the identity of the snapshots is as recorded.

    Our snapshots know their pending timers and XState's do not, so a timer alone makes a new one.
    """
    if recorded and before.timers != after.timers:
        return before.configuration is after.configuration and before.context is after.context
    return (before is after) is recorded


def unlike(
    where: str,
    snapshot: Snapshot[Any],
    commands: tuple[Command, ...],
    expected: Mapping[str, Any],
    context: Any,
) -> Iterator[str]:
    """Compare everything that was recorded of one step."""
    seen = {
        "value": snapshot.value,
        "status": snapshot.status,
        "context": snapshot.context,
        "commands": [written(command) for command in commands],
    }
    wanted = {
        "value": expected["v"],
        "status": expected.get("s", "active"),
        "context": context,
        "commands": expected.get("x", []),
    }
    if expected.get("s") != "error":
        seen |= {"output": snapshot.output}
        wanted |= {"output": expected.get("o")}
    if "t" in expected:
        seen |= {"tags": sorted(snapshot.tags)}
        wanted |= {"tags": expected["t"]}
    if "meta" in expected:
        seen |= {"meta": snapshot.meta}
        wanted |= {"meta": expected["meta"]}
    for key, value in wanted.items():
        if seen[key] != value:
            yield f"{where}: {key} is {seen[key]!r}, expected {value!r}"
