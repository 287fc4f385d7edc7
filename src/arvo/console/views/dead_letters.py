"""Dead letters: events that could not be handled, in groups by reason, type and handler."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.console.views.event import EventView, show_event
from arvo.console.views.secrets import Redaction
from arvo.core.events.subject import workflow_id_of
from arvo.core.violations.issue import Issue
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.ports.messages import DeadLetter, Destination

# The dead letters that one page reads; it says when there are more.
READ_MAX: Final = 1_000
# The dead letters that one page lists.
ROWS_MAX: Final = 200
# The beginning of a reason makes the group: what follows it names one event.
GROUP_CHARACTERS_MAX: Final = 80


@final
@frozen(kw_only=True)
class DeadLetterFilters:
    """Which dead letters a page shows: all that are empty select every one."""

    reason: str = ""
    type: str = ""
    handler: str = ""


@final
@frozen(kw_only=True)
class Group:
    """Dead letters with one reason, type and handler."""

    reason: str
    type: str
    handler: str
    count: int
    first: datetime
    last: datetime


@final
@frozen(kw_only=True)
class DeadLetterRow:
    """One dead letter in a list."""

    id: str
    type: str
    handler: str
    reason: str
    attempts: int
    at: datetime
    subject: str
    workflow: str


@final
@frozen(kw_only=True)
class DeadLettersView:
    """The groups of all dead letters that were read, and those that the filters select.

    *has_more*: whether the backend has more than were read.
    """

    filters: DeadLetterFilters
    groups: tuple[Group, ...]
    rows: tuple[DeadLetterRow, ...]
    selected: int
    has_more: bool


def show_dead_letters(
    dead_letters: Sequence[DeadLetter],
    filters: DeadLetterFilters,
    redaction: Redaction,
    *,
    has_more: bool,
) -> DeadLettersView:
    """Return the page of *dead_letters*, which are the oldest ones."""
    selected = [it for it in dead_letters if _fits(it, filters)]
    return DeadLettersView(
        filters=filters,
        groups=_groups(dead_letters),
        rows=tuple(_row(it, redaction) for it in selected[:ROWS_MAX]),
        selected=len(selected),
        has_more=has_more,
    )


def reason_of(dead_letter: DeadLetter) -> str:
    """Return what the reasons of a group have in common: the text before the first detail."""
    text = " ".join(dead_letter.reason.split())
    for mark in ("'", '"'):
        text = text.partition(mark)[0]
    return text[:GROUP_CHARACTERS_MAX].strip(" :;,(")


def _fits(dead_letter: DeadLetter, filters: DeadLetterFilters) -> bool:
    return (
        filters.reason in ("", reason_of(dead_letter))
        and filters.type in ("", dead_letter.event.type)
        and filters.handler in ("", handler_of(dead_letter.to))
    )


def _groups(dead_letters: Iterable[DeadLetter]) -> tuple[Group, ...]:
    found: dict[tuple[str, str, str], list[datetime]] = {}
    for dead_letter in dead_letters:
        key = (reason_of(dead_letter), dead_letter.event.type, handler_of(dead_letter.to))
        found.setdefault(key, []).append(datetime.fromisoformat(dead_letter.at))
    groups = (
        Group(
            reason=reason,
            type=type_,
            handler=handler,
            count=len(times),
            first=min(times),
            last=max(times),
        )
        for (reason, type_, handler), times in found.items()
    )
    return tuple(sorted(groups, key=lambda group: -group.count))


def handler_of(to: Destination | None) -> str:
    """Return where an event was going, in words."""
    match to:
        case ToHandler(address=address):
            return address
        case ToDomain(domain=domain):
            return f"domain {domain}"
        case ToCaller(address=address):
            return f"caller {address}"
        case None:
            return "no destination"


def _row(dead_letter: DeadLetter, redaction: Redaction) -> DeadLetterRow:
    event = dead_letter.event
    return DeadLetterRow(
        id=dead_letter.id,
        type=event.type,
        handler=handler_of(dead_letter.to),
        reason=redaction.message(" ".join(dead_letter.reason.split()), event),
        attempts=dead_letter.attempts,
        at=datetime.fromisoformat(dead_letter.at),
        subject=event.subject,
        workflow=workflow_id_of(event.subject),
    )


@final
@frozen(kw_only=True)
class DeadLetterView:
    """One dead letter in full, with the issues of its violation."""

    row: DeadLetterRow
    issues: tuple[Issue, ...]
    event: EventView


def show_dead_letter(dead_letter: DeadLetter, redaction: Redaction) -> DeadLetterView:
    """Return one dead letter as its page shows it."""
    violation = dead_letter.violation
    return DeadLetterView(
        row=_row(dead_letter, redaction),
        issues=() if violation is None else redaction.issues(violation.issues, dead_letter.event),
        event=show_event(dead_letter.event, redaction),
    )
