"""Span events: what a commit or an error adds to the span of its delivery."""

from collections.abc import Iterator
from typing import Final

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from arvo.core.commit import Commit
from arvo.core.events.protocol import SystemFault, is_system_error
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.telemetry.conventions import names
from arvo.telemetry.spans.attributes import Attributes, state_text

# Events of one span. A turn may emit thousands.
EVENTS_MAX: Final = 64
# Issues of a violation on a span.
ISSUES_MAX: Final = 5
TEXT_CHARACTERS_MAX: Final = 1_000

SpanEvent = tuple[str, dict[str, AttributeValue]]


def add_commit(span: Span, commit: Commit) -> Attributes:
    """Add an event for each thing that a commit changed; return its attributes."""
    record, attributes = commit.record, Attributes()
    if record is not None:
        attributes[names.WORKFLOW_STATUS] = record.status
        attributes[names.WORKFLOW_REVISION] = record.revision
        state = state_text(record.state)
        if state is not None:
            attributes[names.WORKFLOW_STATE] = state
    number = 0
    for name, described in _events(commit):
        number += 1
        if number <= EVENTS_MAX:
            span.add_event(name, described)
    if number > EVENTS_MAX:
        attributes[names.EVENTS_DROPPED] = number - EVENTS_MAX
    return attributes


def _events(commit: Commit) -> Iterator[SpanEvent]:
    for log in commit.logs:
        attributes: dict[str, AttributeValue] = {
            names.LOG_SEVERITY: log.level,
            names.LOG_MESSAGE: log.message[:TEXT_CHARACTERS_MAX],
        }
        for key, value in log.attributes.items():
            is_plain = isinstance(value, bool | int | float | str)
            attributes[f"log.{key}"] = value if is_plain else repr(value)[:TEXT_CHARACTERS_MAX]
        yield names.LOG, attributes
    for event in commit.events:
        sent: dict[str, AttributeValue] = {
            names.EVENT_ID: event.id,
            names.EVENT_TYPE: event.type,
        }
        if event.to is not None:
            sent[names.TO] = event.to
        yield names.EMIT, sent
    for timer in commit.timers:
        due = timer.due.isoformat(timespec="milliseconds")
        yield names.TIMER_SET, {"name": str(timer.event.raw.get("name")), "due": due}
    for id_ in commit.cleared_timers:
        yield names.TIMER_CLEARED, {"id": id_}
    if commit.record is not None:
        yield from _changes(commit.before, commit.record)


def _changes(before: Record | None, after: Record) -> Iterator[SpanEvent]:
    if before is None or before.state != after.state:
        yield names.PERSIST, {"revision": after.revision}
    old = None if before is None else state_text(before.state)
    new = state_text(after.state)
    if new is not None and old != new:
        yield names.TRANSITION, {"from": old or "", "to": new}


def fault_of(commit: Commit) -> SystemFault | None:
    """Return why the turn of a commit failed: the system error that it emits, or its record has."""
    if commit.record is not None and commit.record.failure is not None:
        return commit.record.failure
    for event in commit.events:
        if is_system_error(event.type):
            return SystemFault(
                errorName=str(event.raw.get("errorName")),
                errorMessage=str(event.raw.get("errorMessage")),
                errorStack=event.raw.get("errorStack"),
            )
    return None


def add_exception(span: Span, fault: SystemFault) -> None:
    """Add an exception, with its stack if the system shows stacks."""
    attributes: dict[str, AttributeValue] = {
        names.EXCEPTION_TYPE: fault.name,
        names.EXCEPTION_MESSAGE: fault.message[:TEXT_CHARACTERS_MAX],
    }
    if fault.stack is not None:
        attributes[names.EXCEPTION_STACKTRACE] = fault.stack
    span.add_event(names.EXCEPTION, attributes)


def violation_attributes(violation: Violation) -> Attributes:
    """Return the issues of a violation: for each the field and both values."""
    issues = enumerate(violation.issues[:ISSUES_MAX])
    return {f"arvo.issue.{number}": str(it)[:TEXT_CHARACTERS_MAX] for number, it in issues}
