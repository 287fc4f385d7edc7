"""Revive: a failed workflow goes on from its last good record."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from arvo.core.events.cancellation import cancel_type
from arvo.core.events.event import Event
from arvo.core.events.fault import is_system_error
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, one_line
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violation
from arvo.engine.system.owner import owner
from arvo.engine.system.system import System


def revived(
    system: System,
    record: Record,
    turn: Sequence[Event[Any]],
    *,
    undone: bool = False,
) -> Record | Violation:
    """Give the record that a failed workflow goes on from, or say why it cannot.

    *turn*: the events of the turn that failed, the consumed one first. What was remembered is as
    the last good turn left it; the consumed event is to be handed to it once more. Where the failed
    turn has sent undos, what they undid stays undone, and the record knows nothing of it: that is
    refused unless *undone* says that it may go on all the same.
    """
    handler = owner(system, record)
    if isinstance(handler, ConfigViolation):
        return handler
    if record.status != "failed":
        issue = Issue("record.status", "failed", record.status)
        return ExecutionViolation(f"this run of {handler.source} has not failed", issue)
    if not turn or turn[0].id != record.consumed:
        issue = Issue("history", f"event {record.consumed!r}, on which it failed", "no such event")
        return ExecutionViolation("the history does not reach back to the failure", issue)
    sent = [event for event in turn[1:] if not _tells(event)]
    if sent and not undone:
        names = ", ".join(one_line(event.type) for event in sent)
        issue = Issue("undone", "True, where it may go on all the same", "False")
        said = f"the failure has undone what this run of {handler.source} did ({names})"
        return ExecutionViolation(said, issue)
    # It never had a good turn where it failed on the very event that began it.
    began = turn[0].type != handler.source
    return evolve(
        record,
        status="active",
        failure=None,
        revision=record.revision + 1,
        revivals=record.revivals + 1,
        init=record.init if began else "",
    )


def _tells(event: Event[Any]) -> bool:
    """Tell what only says that the workflow failed, or that nobody waits for a child any more."""
    return is_system_error(event.type) or (
        event.to is not None and event.type == cancel_type(event.to)
    )
