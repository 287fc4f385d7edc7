"""Paths: sequences of events that lead to every state a chart can be brought to."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from attrs import frozen

from arvo.statechart.compiled.chart import Chart
from arvo.statechart.definition.commands import Schedule
from arvo.statechart.definition.events import DONE_PREFIX, Event
from arvo.statechart.execution.snapshot import Snapshot
from arvo.statechart.execution.step import initial, transition

PATHS_MAX = 10_000  # steps tried; the simple paths of a parallel chart grow without measure

Place: TypeAlias = tuple[Any, ...]


@frozen
class Path:
    """A way to a state: take *events* in order from the start, and *state* is active."""

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
    """Find ways to every state by running *chart*, so that each path leads where it says.

    *shortest* gives one path for each state that can be reached, *simple* every path to each
    configuration that visits none twice. *events* are what is tried at each place: by default
    one without data for each descriptor, so guards that need data want events of their own.
    Places are told apart by configuration and history, not by context, or counters would never
    end. At most *limit* steps are tried.
    """
    tried = tuple(sample_events(chart) if events is None else events)
    start, _ = initial(chart, input)
    if start.status == "error":
        return ()
    walk = _shortest if kind == "shortest" else _simple
    return tuple(walk(chart, start, tried, limit))


def sample_events(chart: Chart[Any]) -> Iterator[Event]:
    """Make one event for each descriptor of *chart*; done events are its own to raise."""
    for descriptor in chart.events:
        if not descriptor.startswith(DONE_PREFIX):
            yield Event(_sample(chart, descriptor))


def _sample(chart: Chart[Any], descriptor: str) -> str:
    """Find an event type that *descriptor* answers before any other does."""
    if descriptor != "*" and not descriptor.endswith(".*"):
        return descriptor
    kind = descriptor.removesuffix("*").removesuffix(".")
    longer = f"{kind}.any" if descriptor != "*" else "any"
    # A type is made longer until no key of the chart is like it, and there are not many keys.
    while not kind or chart.compiled.vocabulary.classify(kind)[0] != descriptor:
        kind, longer = longer, f"{longer}_"
    return kind


def _shortest(
    chart: Chart[Any], start: Snapshot[Any], events: tuple[object, ...], limit: int
) -> Iterator[Path]:
    found: set[str] = set()
    seen = {_place(start)}
    ahead: deque[tuple[tuple[object, ...], Snapshot[Any]]] = deque([((), start)])
    while ahead:
        trail, snapshot = ahead.popleft()
        for state in sorted(snapshot.states - found):
            found.add(state)
            yield Path(state, trail, snapshot)
        for event, after in _steps(chart, snapshot, events):
            limit -= 1
            if limit < 0:
                return
            if _place(after) not in seen:
                seen.add(_place(after))
                ahead.append(((*trail, event), after))


def _simple(
    chart: Chart[Any], start: Snapshot[Any], events: tuple[object, ...], limit: int
) -> Iterator[Path]:
    ahead = [((), start, frozenset({_place(start)}))]
    stack: list[tuple[tuple[object, ...], Snapshot[Any], frozenset[Place]]] = list(ahead)
    while stack:
        trail, snapshot, seen = stack.pop()
        for state in sorted(snapshot.states):
            yield Path(state, trail, snapshot)
        for event, after in _steps(chart, snapshot, events):
            limit -= 1
            if limit < 0:
                return
            place = _place(after)
            if place not in seen:
                stack.append(((*trail, event), after, seen | {place}))


def _steps(
    chart: Chart[Any], snapshot: Snapshot[Any], events: tuple[object, ...]
) -> Iterator[tuple[object, Snapshot[Any]]]:
    timers: tuple[Schedule, ...] = snapshot.timers
    for event in (*events, *timers):
        after, _ = transition(chart, snapshot, event)
        if after is not snapshot and after.status != "error":
            yield event, after


def _place(snapshot: Snapshot[Any]) -> Place:
    configuration = snapshot.configuration
    return configuration.mask, configuration.leaves, tuple(sorted(snapshot.past.records.items()))
