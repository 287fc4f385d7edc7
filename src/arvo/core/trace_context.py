"""Trace context: the place in a distributed trace at which a step is taken."""

from collections.abc import Iterable
from typing import Any, Final, final

from attrs import frozen

from arvo.construct import evolver
from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event

# By how many bytes of JSON a trace may lengthen an event. The `tracestate` has at most 512
# characters (W3C Trace Context §3.3.1.5), and JSON may escape each.
TRACE_BYTES_MAX: Final = 2_048


@final
@frozen
class TraceContext:
    """The span in which a step is taken, in the words of W3C Trace Context.

    An input of the step, as its time is: the events that the step emits carry both texts in place
    of those of the consumed event. Ids do not depend on it.
    """

    traceparent: str
    tracestate: str | None = None


def with_trace(commit: Commit, trace: TraceContext) -> Commit:
    """Return a commit whose events, those of its timers included, carry *trace*."""
    if not commit.events and not commit.timers:
        return commit
    parent, state = trace.traceparent, trace.tracestate
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
    return traced


def trace_of(events: Iterable[Event[Any]]) -> TraceContext | None:
    """Return the trace that the events of one turn carry, None if they carry none.

    A replay passes it to the step, so that it emits the same events.
    """
    event = next(iter(events), None)
    if event is None or event.traceparent is None:
        return None
    return TraceContext(event.traceparent, event.tracestate)


_with_events: Final = evolver(Commit, "events", "timers")
_with_trace: Final = evolver(Event, "traceparent", "tracestate")
