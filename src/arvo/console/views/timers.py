"""Timers: those that have not fired, the next one first."""

from collections.abc import Sequence
from datetime import datetime
from typing import final

from attrs import frozen

from arvo.console.views.workflows import name_of
from arvo.interpreters.ports.results import PAGE_MAX, DueTimer


@final
@frozen(kw_only=True)
class TimerRow:
    """One timer. *is_late*: it was due, and no process that runs its workflow has looked since."""

    due: datetime
    is_late: bool
    name: str
    type: str
    subject: str
    workflow: str


@final
@frozen(kw_only=True)
class TimersView:
    """One page of the list. *later*: the cursor of the next page, None on the last one.

    *type*: the workflow type that the list is limited to; *types*: those that the system has.
    """

    type: str
    types: tuple[str, ...]
    rows: tuple[TimerRow, ...]
    later: str | None


def show_timers(
    listed: Sequence[DueTimer], *, type_: str, types: Sequence[str], now: datetime
) -> TimersView:
    """Return the page that holds *listed*, the answer to a query for a full page."""
    return TimersView(
        type=type_,
        types=tuple(dict.fromkeys((*types, *filter(None, [type_])))),
        rows=tuple(_row(it, now) for it in listed),
        later=write_cursor(listed[-1]) if len(listed) >= PAGE_MAX else None,
    )


def _row(timer: DueTimer, now: datetime) -> TimerRow:
    return TimerRow(
        due=timer.due,
        is_late=timer.due < now,
        name=timer.name,
        type=timer.handler,
        subject=timer.subject,
        workflow=name_of(timer.subject),
    )


def write_cursor(last: DueTimer) -> str:
    """Return the end of a page as text: timers are sorted by the time they are due, and by id."""
    return f"{last.due.isoformat()}~{last.id}"


def read_cursor(text: str) -> DueTimer | None:
    """Return the end of a page, as far as a backend looks at it; None for any other text."""
    time, _, id_ = text.partition("~")
    try:
        due = datetime.fromisoformat(time)
    except ValueError:
        return None
    if due.tzinfo is None or not id_ or not id_.isprintable():
        return None
    return DueTimer(id=id_, name="", subject="", handler="", due=due)
