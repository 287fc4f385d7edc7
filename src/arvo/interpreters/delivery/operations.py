"""Operations: the parameters of the read and write operations of a backend, as values."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from heapq import nlargest
from typing import Any, final

from attrs import frozen

from arvo.core.commit import PendingTimer
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.labels import Label, label_line, label_lines
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.record import Record, Status
from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow


@final
@frozen
class WorkflowQuery:
    """The parameters of `Backend.workflows`."""

    handler: str | None = None
    after: StoredWorkflow | None = None
    limit: int = PAGE_MAX
    status: Status | None = None
    workflow_id: str | None = None
    unchanged_since: datetime | None = None
    labels: Mapping[str, Label] = EMPTY
    text: str | None = None

    @property
    def lines(self) -> list[str]:
        """The labels as `label_lines` has them."""
        return [label_line(name, label) for name, label in self.labels.items()]


def select_workflows(
    query: WorkflowQuery, workflows: Iterable[StoredWorkflow]
) -> tuple[StoredWorkflow, ...]:
    """Return the page of *workflows* that a query asks for, for a store without an index.

    It does not compare the workflow id.
    """
    selected = (stored for stored in workflows if _matches(query, stored))
    return tuple(nlargest(query.limit, selected, key=_sort_key))


def _matches(query: WorkflowQuery, stored: StoredWorkflow) -> bool:
    return (
        query.status in (None, stored.record.status)
        and query.handler in (None, stored.record.handler)
        and (query.unchanged_since is None or stored.changed < query.unchanged_since)
        and (query.after is None or _sort_key(stored) < _sort_key(query.after))
        and ((not query.labels and query.text is None) or _matches_labels(query, stored.record))
    )


def _matches_labels(query: WorkflowQuery, record: Record) -> bool:
    lines = label_lines(record.labels)
    if any(line not in lines for line in query.lines):
        return False
    text = query.text
    return text is None or text in workflow_id_of(record.subject) or text in lines


def _sort_key(stored: StoredWorkflow) -> tuple[datetime, str]:
    return stored.changed, stored.record.subject


@final
@frozen
class DeadLetterQuery:
    """The parameters of `Backend.dead_letters`."""

    after: DeadLetter | None = None
    limit: int = PAGE_MAX
    subject: str | None = None


def dead_letter_key(dead_letter: DeadLetter) -> tuple[int, str]:
    """Return the place of a dead letter in the list: its time in milliseconds, and its id."""
    return time_key(dead_letter.at), dead_letter.id


def time_key(at: str) -> int:
    """Return the milliseconds of an RFC 3339 time, by which dead letters are sorted."""
    time = datetime.fromisoformat(at)
    return to_milliseconds(time if time.tzinfo else time.replace(tzinfo=UTC))


@final
@frozen
class Replacement:
    """The parameters of `Backend.replace_record`."""

    record: Record
    expected: int
    timers: Sequence[PendingTimer] = ()
    redeliver: Sequence[Event[Any]] = ()

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """The events that the workflow may consume again: those of the timers, and redelivered."""
        return (*(timer.event for timer in self.timers), *self.redeliver)
