"""Outcome: what a step comes to, said so that two of them can be compared."""

from typing import Any, Final

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.violations.violation import Violation

SUMMARY_CHARACTERS_MAX: Final = 500


def summary(settled: Commit | Violation) -> str:
    """Say what a step comes to in a line."""
    if not isinstance(settled, Commit):
        return f"{type(settled).__name__}: {settled}"
    record = settled.record
    sent = ", ".join(f"{each.type} {dict(_unstacked(each))}" for each in settled.events)
    state = "" if record is None else f", it remembers {record.state!r}"
    return f"{settled.outcome}, it sends {sent or 'nothing'}{state}"[:SUMMARY_CHARACTERS_MAX]


def plain(settled: Commit | Violation) -> object:
    """Say what a step comes to, without the stacks of exceptions: these hold addresses."""
    if not isinstance(settled, Commit):
        return str(settled)
    record = settled.record
    kept: dict[str, Any] = {} if record is None else {**record.to_dict(), "failure": None}
    fault = None if record is None or record.failure is None else record.failure.message
    events = [{**each.to_dict(), "data": _unstacked(each)} for each in settled.events]
    return settled.outcome, kept, fault, events, settled.timers, settled.cleared_timers


def _unstacked(event: Event[Any]) -> dict[str, Any]:
    hidden = "errorStack" if isinstance(event.data, SystemFault) else None
    return {key: value for key, value in event.raw.items() if key != hidden}
