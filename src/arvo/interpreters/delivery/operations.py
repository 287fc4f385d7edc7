"""Operations: the parameters of the read and write operations of a backend, as values."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from heapq import nlargest, nsmallest
from typing import Any, TypeAlias, final

from attrs import define, field, frozen

from arvo.core.commit import PendingTimer
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.labels import Label, label_line, label_lines
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.record import LASTING_STATUSES, Record, Status
from arvo.interpreters.delivery.codec import from_milliseconds, to_milliseconds
from arvo.interpreters.ports.messages import DeadLetter, Message, queue_of
from arvo.interpreters.ports.results import (
    PAGE_MAX,
    DeadLetterGroup,
    DueTimer,
    StoredWorkflow,
    VersionUse,
)

# Cause, handler ("" without one) and type of a dead letter.
GroupKey: TypeAlias = tuple[str, str, str]


@final
@frozen
class WorkflowQuery:
    """The parameters of `Backend.workflows`."""

    handler: str | None = None
    after: StoredWorkflow | None = None
    limit: int = PAGE_MAX
    status: Status | None = None
    version: str | None = None
    workflow_id: str | None = None
    unchanged_since: datetime | None = None
    labels: Mapping[str, Label] = EMPTY
    text: str | None = None

    @property
    def lines(self) -> list[str]:
        """The labels as `label_lines` has them."""
        return [label_line(name, label) for name, label in self.labels.items()]


@final
@define(eq=False)
class VersionCounter:
    """Counts the workflows that need a version of their handler, for a store without an index."""

    _counts: Counter[tuple[str, str, Status]] = field(factory=Counter, init=False)

    def add(self, record: Record) -> None:
        """Count a workflow that is active, or has failed and may be revived."""
        if record.status in LASTING_STATUSES:
            self._counts[record.handler, record.version, record.status] += 1

    def uses(self) -> tuple[VersionUse, ...]:
        """Return the counts by handler and version, sorted by these."""
        versions = sorted({(handler, version) for handler, version, _ in self._counts})
        return tuple(
            VersionUse(*key, *(self._counts[*key, status] for status in LASTING_STATUSES))
            for key in versions
        )


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
        and query.version in (None, stored.record.version)
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
    """The parameters of `Backend.dead_letters` and `Backend.dead_letter_groups`."""

    after: DeadLetter | None = None
    limit: int = PAGE_MAX
    subject: str | None = None
    handler: str | None = None
    type: str | None = None
    cause: str | None = None
    text: str | None = None
    since: datetime | None = None

    @property
    def by_subject_only(self) -> bool:
        """Whether it selects by the subject at most."""
        others = (self.handler, self.type, self.cause, self.text, self.since)
        return all(value is None for value in others)

    def selects(self, subject: str, key: GroupKey, at: int) -> bool:
        """Return whether a dead letter is selected, for a store without an index.

        *at*: its time in milliseconds. It does not compare *after*.
        """
        cause, handler, type_ = key
        return (
            self.subject in (None, subject)
            and self.handler in (None, handler)
            and self.type in (None, type_)
            and self.cause in (None, cause)
            and (self.text is None or self.text in cause)
            and (self.since is None or to_milliseconds(self.since) <= at)
        )


def group_key(dead_letter: DeadLetter) -> GroupKey:
    """Return the cause, the handler ("" without one) and the type of a dead letter."""
    return dead_letter.cause, dead_letter.handler or "", dead_letter.event.type


def group_dead_letters(
    query: DeadLetterQuery, selected: Iterable[tuple[GroupKey, int]]
) -> tuple[DeadLetterGroup, ...]:
    """Return the groups that a query asks for, for a store without an index.

    *selected*: the group of each dead letter that the query selects, and its time in milliseconds.
    """
    times: dict[GroupKey, list[int]] = {}
    for key, at in selected:
        times.setdefault(key, []).append(at)
    return tuple(
        make_group(*key, len(at), min(at), max(at))
        for key, at in nsmallest(query.limit, times.items(), key=lambda it: (-len(it[1]), it[0]))
    )


def make_group(
    cause: str, handler: str, type_: str, number: int, first: int, last: int
) -> DeadLetterGroup:
    """Make a group; *first* and *last* in milliseconds."""
    return DeadLetterGroup(
        cause=cause,
        handler=handler or None,
        type=type_,
        number=number,
        first=from_milliseconds(first),
        last=from_milliseconds(last),
    )


def dead_letter_key(dead_letter: DeadLetter) -> tuple[int, str]:
    """Return the place of a dead letter in the list: its time in milliseconds, and its id."""
    return time_key(dead_letter.at), dead_letter.id


def time_key(at: str) -> int:
    """Return the milliseconds of an RFC 3339 time, by which dead letters are sorted."""
    time = datetime.fromisoformat(at)
    return to_milliseconds(time if time.tzinfo else time.replace(tzinfo=UTC))


def make_due_timer(due: datetime, message: Message) -> DueTimer:
    """Make the view of a timer from the message that it delivers."""
    event = message.event
    return DueTimer(
        id=event.id,
        name=str(event.raw.get("name", "")),
        subject=event.subject,
        handler=queue_of(message.to),
        due=due,
    )


def select_timers(
    timers: Iterable[DueTimer], handler: str | None, after: DueTimer | None, limit: int
) -> tuple[DueTimer, ...]:
    """Return the page of *timers* that `Backend.timers` asks for, for a store without an index."""
    selected = (
        timer
        for timer in timers
        if handler in (None, timer.handler) and (after is None or _due_key(timer) > _due_key(after))
    )
    return tuple(nsmallest(limit, selected, key=_due_key))


def _due_key(timer: DueTimer) -> tuple[datetime, str]:
    return timer.due, timer.id


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
