"""Trace context: the place in a distributed trace at which a step is taken."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

from attrs import frozen

from arvo.construct import evolver
from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.envelope import EXTENSIONS_MAX
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import FrozenDict

# By how many bytes of JSON a trace may lengthen an event. The `tracestate` has at most 512
# characters (W3C Trace Context §3.3.1.5), and JSON may escape each; baggage has 256.
TRACE_BYTES_MAX: Final = 3_072
# The names of the extensions that hold baggage begin with this.
BAGGAGE: Final = "bg"


@final
@frozen
class TraceContext:
    """The span in which a step is taken, in the words of W3C Trace Context.

    An input of the step, as its time is: the events that the step emits carry both texts in place
    of those of the consumed event. Ids do not depend on it. *baggage*: further extensions of these
    events, each a name that begins with `bg` and a value.
    """

    traceparent: str
    tracestate: str | None = None
    baggage: tuple[tuple[str, str], ...] = ()


def with_trace(commit: Commit, trace: TraceContext) -> Commit:
    """Return a commit whose events, those of its timers included, carry *trace*."""
    if not commit.events and not commit.timers:
        return commit
    parent, state = trace.traceparent, trace.tracestate
    timers = commit.timers
    if trace.baggage:
        commit = _with_baggage(commit, trace.baggage)
        timers = commit.timers
    traced: Commit = _with_events(
        commit,
        tuple([_with_trace(event, parent, state) for event in commit.events]),
        tuple([PendingTimer(_with_trace(it.event, parent, state), it.due) for it in timers]),
    )
    return traced


def event_with_trace(event: Event[Any], trace: TraceContext) -> Event[Any]:
    """Return an event that carries *trace*."""
    traced: Event[Any] = _with_trace(event, trace.traceparent, trace.tracestate)
    if not trace.baggage or not _has_room([traced], trace.baggage):
        return traced
    return _carry(traced, dict(trace.baggage))


def trace_of(events: Iterable[Event[Any]]) -> TraceContext | None:
    """Return the trace that the events of one turn carry, None if they carry none.

    A replay passes it to the step, so that it emits the same events.
    """
    emitted = list(events)
    if not emitted or emitted[0].traceparent is None:
        return None
    first, *others = emitted
    # What all of them carry, as they do of the baggage of a trace.
    baggage = tuple(
        (name, value)
        for name, value in first.extensions.items()
        if name.startswith(BAGGAGE)
        and isinstance(value, str)
        and all(event.extensions.get(name) == value for event in others)
    )
    assert first.traceparent is not None
    return TraceContext(first.traceparent, first.tracestate, baggage)


def _with_baggage(commit: Commit, baggage: Sequence[tuple[str, str]]) -> Commit:
    """Return a commit whose events carry baggage: all of them, or none where one has no room."""
    events = [*commit.events, *(timer.event for timer in commit.timers)]
    if not _has_room(events, baggage):
        return commit
    more = dict(baggage)
    carrying = [_carry(event, more) for event in events]
    number = len(commit.events)
    timers = [
        PendingTimer(event, timer.due)
        for event, timer in zip(carrying[number:], commit.timers, strict=True)
    ]
    changed: Commit = _with_events(commit, tuple(carrying[:number]), tuple(timers))
    return changed


def _carry(event: Event[Any], more: Mapping[str, str]) -> Event[Any]:
    carrying: Event[Any] = _with_extensions(event, FrozenDict({**event.extensions, **more}))
    return carrying


def _has_room(events: Iterable[Event[Any]], baggage: Sequence[tuple[str, str]]) -> bool:
    return all(len(event.extensions) + len(baggage) <= EXTENSIONS_MAX for event in events)


_with_events: Final = evolver(Commit, "events", "timers")
_with_trace: Final = evolver(Event, "traceparent", "tracestate")
_with_extensions: Final = evolver(Event, "extensions")
