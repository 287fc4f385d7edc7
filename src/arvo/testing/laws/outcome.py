"""Outcome: the result of a step as a line of text, and as a value that can be compared."""

from typing import Any, Final

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.violations.violation import Violation

SUMMARY_CHARACTERS_MAX: Final = 500


def summarise(result: Commit | Violation) -> str:
    """Return a one-line summary of the result of a step."""
    if not isinstance(result, Commit):
        return f"{type(result).__name__}: {result}"
    record = result.record
    sent = ", ".join(f"{event.type} {dict(_without_stack(event))}" for event in result.events)
    state = "" if record is None else f", persists {record.state!r}"
    return f"{result.outcome}, sends {sent or 'nothing'}{state}"[:SUMMARY_CHARACTERS_MAX]


def comparable(result: Commit | Violation) -> object:
    """Return the result of a step without stack traces, which contain memory addresses."""
    if not isinstance(result, Commit):
        return str(result)
    record = result.record
    fields: dict[str, Any] = {} if record is None else {**record.to_dict(), "failure": None}
    fault = None if record is None or record.failure is None else record.failure.message
    events = [{**event.to_dict(), "data": _without_stack(event)} for event in result.events]
    return result.outcome, fields, fault, events, result.timers, result.cleared_timers


def _without_stack(event: Event[Any]) -> dict[str, Any]:
    hidden = "errorStack" if isinstance(event.data, SystemFault) else None
    return {key: value for key, value in event.raw.items() if key != hidden}
