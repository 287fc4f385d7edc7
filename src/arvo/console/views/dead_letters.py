"""Dead letters: events that could not be handled, in groups by cause, type and handler."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.console.views.event import EventView, show_event
from arvo.console.views.secrets import Redaction
from arvo.core.events.subject import workflow_id_of
from arvo.core.violations.issue import Issue
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.ports.messages import DeadLetter, Destination
from arvo.interpreters.ports.results import PAGE_MAX, DeadLetterFilters, DeadLetterGroup

# The groups that a page counts: the largest ones.
GROUPS_MAX: Final = 30
# In an address: those that were for no handler, as an empty value is no filter.
NO_HANDLER: Final = "none"


@final
@frozen(kw_only=True)
class Selection:
    """Which dead letters a page shows, as its address says; what is empty selects all."""

    cause: str = ""
    type: str = ""
    handler: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the page shows all."""
        return not (self.cause or self.type or self.handler)

    @property
    def query(self) -> dict[str, str]:
        """The selection as it stands in an address."""
        return {"cause": self.cause, "type": self.type, "handler": self.handler}

    @property
    def filters(self) -> DeadLetterFilters:
        """The filters of `Client.dead_letters`."""
        handler = "" if self.handler == NO_HANDLER else self.handler or None
        return {"cause": self.cause or None, "type": self.type or None, "handler": handler}

    def command_options(self) -> list[str]:
        """Return the selection as options of `arvo dead-letters redrive` and `delete`."""
        options = ["--cause", self.cause] if self.cause else []
        options += ["--type", self.type] if self.type else []
        if self.handler:
            options += ["--handler", "" if self.handler == NO_HANDLER else self.handler]
        return options


@final
@frozen(kw_only=True)
class GroupRow:
    """Dead letters with one cause, type and handler, and what selects them."""

    cause: str
    type: str
    handler: str
    number: int
    first: datetime
    last: datetime
    selection: Selection


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
    """The largest groups, and a page of those that are selected.

    *newer*: the id after which the next page begins, None on the last one.
    """

    selection: Selection
    groups: tuple[GroupRow, ...]
    rows: tuple[DeadLetterRow, ...]
    newer: str | None


def selection_of(group: DeadLetterGroup) -> Selection:
    """Return what selects the dead letters of a group."""
    handler = NO_HANDLER if group.handler is None else group.handler
    return Selection(cause=group.cause, type=group.type, handler=handler)


def show_dead_letters(
    groups: Sequence[DeadLetterGroup],
    dead_letters: Sequence[DeadLetter],
    selection: Selection,
    redaction: Redaction,
) -> DeadLettersView:
    """Return a page: *groups*, and the dead letters of the *selection*.

    *dead_letters*: the answer to a query for a full page. *redaction* has met a dead letter of each
    group whose cause may quote a secret.
    """
    redaction.meet(it.event for it in dead_letters)
    return DeadLettersView(
        selection=selection,
        groups=tuple(_group(group, redaction) for group in groups),
        rows=tuple(_row(it, redaction) for it in dead_letters),
        newer=dead_letters[-1].id if len(dead_letters) >= PAGE_MAX else None,
    )


def _group(group: DeadLetterGroup, redaction: Redaction) -> GroupRow:
    return GroupRow(
        cause=redaction.message(group.cause, group.type),
        type=group.type,
        handler=group.handler or "–",
        number=group.number,
        first=group.first,
        last=group.last,
        selection=selection_of(group),
    )


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
        reason=redaction.message(" ".join(dead_letter.reason.split()), event.type),
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
