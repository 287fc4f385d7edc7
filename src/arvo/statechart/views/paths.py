"""Paths: sequences of events that lead to every reachable state of a chart."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from attrs import frozen

from arvo.statechart.compiled.chart import Chart
from arvo.statechart.definition.commands import Schedule
from arvo.statechart.definition.events import DONE_PREFIX, Event
from arvo.statechart.execution.snapshot import Snapshot
from arvo.statechart.execution.step import initial, transition

PATHS_MAX = 10_000  # steps; the number of simple paths of a parallel chart grows exponentially

# The part of a snapshot that identifies a node of the search.
Position: TypeAlias = tuple[Any, ...]


@frozen
class Path:
    """A path to a state: process *events* in order from the start, and *state* is active."""

    state: str
    events: tuple[object, ...]
    snapshot: Snapshot[Any]


def paths(
    chart: Chart[Any],
    events: Iterable[object] | None = None,
    *,
    kind: Literal["shortest", "simple"] = "shortest",
    input: object = None,  # noqa: A002
    limit: int = PATHS_MAX,
) -> tuple[Path, ...]:
    """Find paths to every state by running *chart*, so each path is known to work.

    *shortest* returns one path for each reachable state, *simple* every path to each
    configuration that visits none twice. The search tries *events* in each configuration. By
    default these are one event without data for each descriptor, so a guard that needs data
    needs explicit events. Snapshots that differ only in their context count as the same, or a
    counter would make the search endless. It takes at most *limit* steps.
    """
    tried = tuple(sample_events(chart) if events is None else events)
    start, _ = initial(chart, input)
    if start.status == "error":
        return ()
    search = _shortest if kind == "shortest" else _simple
    return tuple(search(chart, start, tried, limit))


def sample_events(chart: Chart[Any]) -> Iterator[Event]:
    """Make one event for each descriptor of *chart* except done events, which it raises itself."""
    for descriptor in chart.events:
        if not descriptor.startswith(DONE_PREFIX):
            yield Event(_sample_type(chart, descriptor))


def _sample_type(chart: Chart[Any], descriptor: str) -> str:
    """Find an event type that *descriptor* matches before any other does."""
    if descriptor != "*" and not descriptor.endswith(".*"):
        return descriptor
    kind = descriptor.removesuffix("*").removesuffix(".")
    longer = f"{kind}.any" if descriptor != "*" else "any"
    # The type gets longer until no key of the chart equals it, and a chart has few keys.
    while not kind or chart.compiled.descriptors.match(kind)[0] != descriptor:
        kind, longer = longer, f"{longer}_"
    return kind


def _shortest(
    chart: Chart[Any], start: Snapshot[Any], events: tuple[object, ...], limit: int
) -> Iterator[Path]:
    found: set[str] = set()
    visited = {_position(start)}
    queue: deque[tuple[tuple[object, ...], Snapshot[Any]]] = deque([((), start)])
    while queue:
        trail, snapshot = queue.popleft()
        for state in sorted(snapshot.states - found):
            found.add(state)
            yield Path(state, trail, snapshot)
        for event, after in _steps(chart, snapshot, events):
            limit -= 1
            if limit < 0:
                return
            if _position(after) not in visited:
                visited.add(_position(after))
                queue.append(((*trail, event), after))


def _simple(
    chart: Chart[Any], start: Snapshot[Any], events: tuple[object, ...], limit: int
) -> Iterator[Path]:
    stack: list[tuple[tuple[object, ...], Snapshot[Any], frozenset[Position]]] = [
        ((), start, frozenset({_position(start)}))
    ]
    while stack:
        trail, snapshot, visited = stack.pop()
        for state in sorted(snapshot.states):
            yield Path(state, trail, snapshot)
        for event, after in _steps(chart, snapshot, events):
            limit -= 1
            if limit < 0:
                return
            position = _position(after)
            if position not in visited:
                stack.append(((*trail, event), after, visited | {position}))


def _steps(
    chart: Chart[Any], snapshot: Snapshot[Any], events: tuple[object, ...]
) -> Iterator[tuple[object, Snapshot[Any]]]:
    timers: tuple[Schedule, ...] = snapshot.timers
    for event in (*events, *timers):
        after, _ = transition(chart, snapshot, event)
        if after is not snapshot and after.status != "error":
            yield event, after


def _position(snapshot: Snapshot[Any]) -> Position:
    configuration = snapshot.configuration
    records = tuple(sorted(snapshot.memory.records.items()))
    return configuration.mask, configuration.leaves, records
