"""Revive: let a failed workflow continue from its last good record."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type, is_system_error
from arvo.core.record import Record
from arvo.core.replies import Replies
from arvo.core.violations.issue import Issue, one_line
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violation
from arvo.engine.system.system import System, find_workflow


def revived_record(
    system: System,
    record: Record,
    turn: Sequence[Event[Any]],
    *,
    after_compensation: bool = False,
) -> Record | Violation:
    """Return the record from which a failed workflow continues, or why it cannot.

    *turn*: the events of the turn that failed, the consumed one first. State, journal, requests and
    timers are those of the last good turn; the consumed event must be delivered again, and behind
    it the `replies_after_failure` of *record*. If the failed turn sent compensations, their effect
    stays, and the record does not show it: that is a violation unless *after_compensation* allows
    it.
    """
    handler = find_workflow(system, record)
    if isinstance(handler, ConfigViolation):
        return handler
    if record.status != "failed":
        issue = Issue("record.status", "failed", record.status)
        return ExecutionViolation(f"this run of {handler.source} has not failed", issue)
    if not turn or turn[0].id != record.consumed:
        issue = Issue(
            "history", f"event {record.consumed!r}, on which the workflow failed", "no such event"
        )
        return ExecutionViolation("the history no longer holds the turn that failed", issue)
    sent = [event for event in turn[1:] if not _reports_end(event)]
    if sent and not after_compensation:
        names = ", ".join(one_line(event.type) for event in sent)
        issue = Issue("after_compensation", "True, to continue in spite of it", "False")
        message = f"this run of {handler.source} has compensated already ({names})"
        return ExecutionViolation(message, issue)
    # A workflow that failed on the event that starts it has never had a good turn.
    started = turn[0].type != handler.source
    return evolve(
        record,
        status="active",
        failure=None,
        replies=Replies(record.replies.events[: len(record.replies) - record.late_replies]),
        late_replies=0,
        revision=record.revision + 1,
        revivals=record.revivals + 1,
        init=record.init if started else "",
        init_digest=record.init_digest if started else "",
    )


def replies_after_failure(record: Record) -> tuple[Event[Any], ...]:
    """Return the replies that came to a workflow after it failed, in the order in which they came.

    They are delivered again when it is revived.
    """
    return record.replies.events[len(record.replies) - record.late_replies :]


def _reports_end(event: Event[Any]) -> bool:
    """Return True for a system error or a child's cancellation: they report the end, no more."""
    return is_system_error(event.type) or (
        event.to is not None and event.type == cancel_type(event.to)
    )
