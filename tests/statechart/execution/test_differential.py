"""Differential: every recorded machine behaves as in XState, event by event."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from arvo.statechart import Chart, Command, Snapshot, can, initial, transition
from tests.statechart.corpora import differential, encode_command, make_chart
from tests.statechart.placeholders import parse_event

LINES_PER_TEST = 50
CACHE_SIZES = {"cached": 4_096, "small cache": 7, "no cache": 0}

CASES = differential()
CHUNKS = [CASES[start : start + LINES_PER_TEST] for start in range(0, len(CASES), LINES_PER_TEST)]


@pytest.mark.parametrize("memory", CACHE_SIZES.values(), ids=CACHE_SIZES.keys())
@pytest.mark.parametrize("chunk", CHUNKS, ids=[f"from line {chunk[0][0]}" for chunk in CHUNKS])
def test_a_recorded_machine_behaves_as_in_xstate(
    chunk: list[tuple[int, dict[str, Any]]], memory: int
) -> None:
    """It runs twice on one chart: the cache of the first run must not change the second."""
    differences = []
    for line, case in chunk:
        chart = make_chart(case["m"], case, memory=memory)
        differences += [
            f"line {line}: {text}" for _ in range(2) for text in find_differences(chart, case)
        ]

    assert differences == []


def find_differences(chart: Chart[Any], case: Mapping[str, Any]) -> Iterator[str]:
    """Run *case* on *chart* and describe each difference from the recording."""
    snapshot, commands = initial(chart, case.get("input"))
    if case["init"].get("s") == "error":
        if snapshot.status != "error":
            yield f"init: {snapshot.status} instead of an error"
        return
    context = case["init"].get("c", {})
    yield from compare_step("init", snapshot, commands, case["init"], context)
    for number, step in enumerate(case["steps"]):
        place, event = f"step {number}", parse_event(step["e"])
        if "can" in step and can(chart, snapshot, event) is not step["can"]:
            yield f"{place}: can is not {step['can']}"
        before, before_repr = snapshot, repr(snapshot)
        snapshot, commands = transition(chart, before, event)
        context = step.get("c", context)
        if repr(before) != before_repr:
            yield f"{place}: the snapshot before changed in place"
        if "same" in step and not is_same(before, snapshot, recorded=step["same"]):
            yield f"{place}: same is not {step['same']}"
        if before.status != "active" and snapshot is before:
            # The recording leaves out the output in the steps after the end.
            step = {**step, "o": before.output}
        yield from compare_step(place, snapshot, commands, step, context)


def is_same(before: Snapshot[Any], after: Snapshot[Any], *, recorded: bool) -> bool:
    """Return whether the identity of the snapshots is as recorded.

    Our snapshots hold their pending timers and XState's do not, so a change of timers alone makes a
    new snapshot.
    """
    if recorded and before.timers != after.timers:
        return before.configuration is after.configuration and before.context is after.context
    return (before is after) is recorded


def compare_step(
    place: str,
    snapshot: Snapshot[Any],
    commands: tuple[Command, ...],
    expected: Mapping[str, Any],
    context: Any,
) -> Iterator[str]:
    """Compare everything that the recording holds of one step."""
    actual = {
        "value": snapshot.value,
        "status": snapshot.status,
        "context": snapshot.context,
        "commands": [encode_command(command) for command in commands],
    }
    recorded = {
        "value": expected["v"],
        "status": expected.get("s", "active"),
        "context": context,
        "commands": expected.get("x", []),
    }
    if expected.get("s") != "error":
        actual |= {"output": snapshot.output}
        recorded |= {"output": expected.get("o")}
    if "t" in expected:
        actual |= {"tags": sorted(snapshot.tags)}
        recorded |= {"tags": expected["t"]}
    if "meta" in expected:
        actual |= {"meta": snapshot.meta}
        recorded |= {"meta": expected["meta"]}
    for key, value in recorded.items():
        if actual[key] != value:
            yield f"{place}: {key} is {actual[key]!r}, expected {value!r}"
