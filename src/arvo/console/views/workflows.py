"""Workflows: the list of workflows, one page of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.console.views.filters import Filters, write_cursor
from arvo.console.views.secrets import Redaction
from arvo.console.views.state import operation_name
from arvo.core.events.subject import workflow_id_of
from arvo.core.labels import label_text
from arvo.core.record import STATUSES, Record
from arvo.handlers.flow.replay import read_waiting
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow

# Enough of a subject to tell two runs apart; the whole is on the page of the workflow.
SHORT_CHARACTERS: Final = 12
# A count reads each workflow; a person who acts on more acts on all that match.
COUNTED_MAX: Final = 10_000
# Of the operations that a workflow waits for, the row of a list names so many.
WAITING_NAMED_MAX: Final = 2


@final
@frozen(kw_only=True)
class WorkflowRow:
    """One workflow in a list. *id*: what finds it, its workflow id or else its subject."""

    subject: str
    id: str
    name: str
    handler: str
    version: str
    status: str
    waits_for: str
    labels: tuple[tuple[str, str], ...]
    began: datetime
    changed: datetime
    revision: int


@final
@frozen(kw_only=True)
class WorkflowsView:
    """One page of the list. *older*: the cursor of the next page, None on the last one.

    *number*: how many workflows match, as far as it is known, in words; *is_counted*: whether they
    were counted. *is_whole*: whether the page has them all.
    """

    filters: Filters
    rows: tuple[WorkflowRow, ...]
    older: str | None
    number: str
    is_counted: bool
    is_whole: bool
    statuses: tuple[str, ...] = STATUSES


def show_workflows(
    stored: Sequence[StoredWorkflow],
    filters: Filters,
    redaction: Redaction,
    counted: int | None = None,
) -> WorkflowsView:
    """Return the page that holds *stored*, the answer to a query for a full page.

    *counted*: how many match the filters, None if they were not counted.
    """
    has_more = len(stored) >= PAGE_MAX
    is_whole = not has_more and filters.after is None
    if is_whole:
        counted = len(stored)
    return WorkflowsView(
        filters=filters,
        rows=tuple(show_row(it, redaction) for it in stored),
        older=write_cursor(stored[-1]) if has_more else None,
        number=_number(len(stored), counted),
        is_counted=counted is not None,
        is_whole=is_whole,
    )


def _number(shown: int, counted: int | None) -> str:
    """Return in words how many workflows there are.

    >>> _number(100, None), _number(1, 1), _number(100, 2_500), _number(100, COUNTED_MAX + 1)
    ('100+ workflows', '1 workflow', '2,500 workflows', 'more than 10,000 workflows')
    """
    if counted is None:
        return f"{shown}+ workflows"
    if counted > COUNTED_MAX:
        return f"more than {COUNTED_MAX:,} workflows"
    return f"{counted:,} {'workflow' if counted == 1 else 'workflows'}"


def show_row(stored: StoredWorkflow, redaction: Redaction) -> WorkflowRow:
    """Return one workflow as a row of a list."""
    record = stored.record
    return WorkflowRow(
        subject=record.subject,
        id=workflow_id_of(record.subject) or record.subject,
        name=name_of(record.subject),
        handler=record.handler,
        version=record.version,
        status=record.status,
        waits_for=waits_for(record, redaction),
        labels=labels_of(record),
        began=stored.began,
        changed=stored.changed,
        revision=record.revision,
    )


def name_of(subject: str) -> str:
    """Return what a person calls a workflow: its id, or the end of its subject."""
    return workflow_id_of(subject) or f"…{subject[-SHORT_CHARACTERS:]}"


def labels_of(record: Record) -> tuple[tuple[str, str], ...]:
    """Return the labels of a workflow as text."""
    return tuple((name, label_text(label)) for name, label in record.labels.items())


def waits_for(record: Record, redaction: Redaction) -> str:
    """Return in one line what a workflow waits for, or why it does not.

    A signal is not a request, so one that only signals continue waits for nothing that is known.
    """
    if record.failure is not None:
        return redaction.failure(record)
    if record.status != "active":
        return ""
    if not record.init:
        return "its first event, which will be delivered again"
    operations, signals = read_waiting(record)
    parts = list(map(operation_name, operations[:WAITING_NAMED_MAX]))
    if len(operations) > WAITING_NAMED_MAX:
        parts.append(f"{len(operations) - WAITING_NAMED_MAX} more")
    if not operations and record.open_requests:
        count = len(record.open_requests)
        parts.append(f"{count} {'reply' if count == 1 else 'replies'}")
    if record.timers:
        name, timer = min(record.timers.items(), key=lambda item: item[1].at)
        parts.append(f"the timer {name}, due {timer.at}")
    if signals:
        parts.append(f"{len(signals)} unread")
    return ", ".join(parts) or "a signal at most"
