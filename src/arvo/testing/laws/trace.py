"""Trace: the events of one run of a workflow, each with the result of its step."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.testing.given.code import to_code

Source: TypeAlias = Literal["event", "reply", "signal", "timer", "cancellation"]


@final
@frozen
class PendingEvent:
    """An event that may come next, and its kind of source."""

    source: Source
    event: Event[Any]


@final
@frozen
class TraceEntry:
    """One step: the delivered event, the record *before*, the time and the result."""

    delivered: PendingEvent
    before: Record | None
    now: datetime
    result: Commit | Violation


def format_entry(entry: TraceEntry) -> str:
    """Return one line for a step: its event, and the payloads sent or the outcome."""
    event = entry.delivered.event
    payload = to_code(event.data)
    result = entry.result
    match entry.delivered.source:
        case "event":
            line = f"{event.to} receives {payload}"
        case "reply":
            line = f"{event.source} replies {payload}"
        case "signal":
            line = f"the signal {payload} arrives"
        case "timer":
            line = f"the timer {event.raw['name']!r} fires"
        case "cancellation":
            line = f"the request {payload} arrives"
    if not isinstance(result, Commit):
        return f"{line}: {type(result).__name__}"
    if result.outcome == "handled" and result.record is not None:
        sent = ", ".join(to_code(sent.data) for sent in result.events)
        done = " (done)" if result.record.status == "done" else ""
        return f"{line}{f' -> {sent}' if sent else ''}{done}"
    return f"{line}: {result.outcome}"
