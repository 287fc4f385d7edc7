"""Workflow: the head of a workflow's page, and what the workflow does now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import frozen

from arvo.console.views.secrets import Redaction
from arvo.console.views.state import operation_name
from arvo.console.views.workflows import labels_of, name_of
from arvo.core.events.event import Event
from arvo.core.events.protocol import is_fork
from arvo.core.record import Record
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.interpreters.runtime.description import PendingRequest, WorkflowDescription

# The tabs of the page, by the name in its address.
TABS: Final[Mapping[str, str]] = {
    "": "Now",
    "timeline": "Timeline",
    "history": "History",
    "state": "State",
    "chart": "Chart",
    "travel": "Time travel",
    "tree": "Tree",
    "replay": "Replay",
    "sequence": "Sequence",
}


@final
@frozen(kw_only=True)
class Head:
    """What stands above every tab of a workflow."""

    subject: str
    name: str
    handler: str
    version: str
    status: str
    revision: int
    parent: str | None
    parent_name: str
    began: datetime
    changed: datetime
    labels: tuple[tuple[str, str], ...]
    failure: str
    tab: str


def show_head(stored: StoredWorkflow, redaction: Redaction, tab: str) -> Head:
    """Return the head of a workflow's page."""
    record = stored.record
    return Head(
        subject=record.subject,
        name=name_of(record.subject),
        handler=record.handler,
        version=record.version,
        status=record.status,
        revision=record.revision,
        parent=record.parent,
        parent_name="" if record.parent is None else name_of(record.parent),
        began=stored.began,
        changed=stored.changed,
        labels=labels_of(record),
        failure=redaction.failure(record),
        tab=tab,
    )


@final
@frozen
class Origin:
    """The workflow that another one was forked from, and the revision."""

    subject: str
    name: str
    revision: int


def show_origin(begin: Event[Any]) -> Origin | None:
    """Return the origin of a fork by the event that began it; None for another begin."""
    match dict(begin.raw):
        case {"origin": str(subject), "revision": int(revision)} if is_fork(begin.type):
            return Origin(subject, name_of(subject), revision)
        case _:
            return None


@final
@frozen
class TimerRow:
    """A pending timer."""

    name: str
    due: datetime
    is_late: bool


@final
@frozen(kw_only=True)
class DeadLetterLink:
    """A dead letter of the workflow."""

    id: str
    type: str
    reason: str
    at: datetime


@final
@frozen(kw_only=True)
class NowView:
    """The events that a workflow waits for, and its outcome."""

    requests: tuple[PendingRequest, ...]
    timers: tuple[TimerRow, ...]
    operations: tuple[str, ...]
    unread_signals: tuple[str, ...]
    dead_letters: tuple[DeadLetterLink, ...]
    next_step: str


def show_now(described: WorkflowDescription, redaction: Redaction, now: datetime) -> NowView:
    """Return what a workflow does at the time *now*."""
    record = described.record
    due = ((name, datetime.fromisoformat(timer.at)) for name, timer in record.timers.items())
    timers = sorted((TimerRow(name, at, at <= now) for name, at in due), key=lambda it: it.due)
    return NowView(
        requests=described.requests,
        timers=tuple(timers),
        operations=tuple(map(operation_name, described.waiting_for)),
        unread_signals=described.unread_signals,
        dead_letters=tuple(
            DeadLetterLink(
                id=it.id,
                type=it.event.type,
                reason=redaction.message(it.reason, it.event.type),
                at=datetime.fromisoformat(it.at),
            )
            for it in described.dead_letters
        ),
        next_step=_next_step(record, timers),
    )


def _next_step(record: Record, timers: Sequence[TimerRow]) -> str:
    """Return the next step, as far as the record shows it."""
    match record.status:
        case "done":
            return "It has completed. Nothing more happens."
        case "cancelled":
            return "It was cancelled. Nothing more happens."
        case "failed":
            return (
                "It has failed and takes no more events. Revive it to try the last event again, "
                "with mended code or services."
            )
        case "active" if not record.init:
            return "Its first event will be delivered again."
        case "active" if record.open_requests:
            return "It continues with the next reply."
        case "active" if timers:
            return "It continues when its next timer is due."
        case "active":
            return "No request and no timer is pending: only a signal can continue it."
