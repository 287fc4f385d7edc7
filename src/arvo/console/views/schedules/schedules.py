"""Schedules: when each schedule is due next, and what became of its occurrences."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final, final

from attrs import frozen

from arvo.console.views.acts import Action
from arvo.console.views.links import Href, Links
from arvo.console.views.workflows import name_of
from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.engine.query import query
from arvo.handlers.schedule.handler import ScheduleHandler
from arvo.handlers.schedule.next_times import next_times
from arvo.handlers.schedule.plan import ScheduleState
from arvo.handlers.schedule.spec import Calendar, Cron, Every
from arvo.interpreters.ports.results import StoredWorkflow

# The next occurrences of a schedule that a page names.
NEXT_MAX: Final = 5


@final
@frozen(kw_only=True)
class ScheduleRow:
    """A schedule: its *spec* in words, its *next* occurrences, and what became of the others.

    *paused*: the reason, None where it is not paused. *notes*: what waits or is under way.
    """

    subject: str
    name: str
    status: str
    spec: str
    overlap: str
    paused: str | None
    next: tuple[datetime, ...]
    counts: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    runs: Href
    actions: tuple[Action, ...]


@final
@frozen(kw_only=True)
class SchedulesView:
    """The schedules of a system. *has_more*: whether a handler has more than are shown."""

    rows: tuple[ScheduleRow, ...]
    has_handlers: bool
    has_more: bool


def show_schedule(
    handler: ScheduleHandler, stored: StoredWorkflow, verbs: Collection[str], links: Links
) -> ScheduleRow | None:
    """Return a schedule as a page shows it; None where its state does not fit the handler.

    *verbs*: what the user may do with it.
    """
    record = stored.record
    state = state_of(handler, record)
    if state is None:
        return None
    name, counts = name_of(record.subject), state.counts
    return ScheduleRow(
        subject=record.subject,
        name=name,
        status=record.status,
        spec=spec_text(state.plan.spec),
        overlap=state.plan.overlap,
        paused=state.paused,
        next=tuple(_next(state)) if record.status == "active" else (),
        counts=tuple(
            (label, getattr(counts, label))
            for label in ("begun", "completed", "failed", "skipped", "missed")
        ),
        notes=tuple(_notes(state)),
        runs=links.to("workflows", q=f"{name}/"),
        actions=schedule_actions(state, record, verbs, links),
    )


def state_of(handler: ScheduleHandler, record: Record) -> ScheduleState | None:
    """Return the state of a schedule, None where it does not fit the handler."""
    try:
        state = query(handler, record)
    except Violated:
        return None
    return state if isinstance(state, ScheduleState) else None


def schedule_actions(
    state: ScheduleState, record: Record, verbs: Collection[str], links: Links
) -> tuple[Action, ...]:
    """Return what a user with these *verbs* can do with a schedule."""
    if record.status != "active" or "send" not in verbs:
        return ()
    pause = ("pause", "Pause") if state.paused is None else ("resume", "Resume")
    named = (pause, ("trigger", "Trigger"), ("backfill", "Backfill"), ("update", "Update"))
    made = [Action(label, links.act(verb, record.subject)) for verb, label in named]
    return (*made, Action("Delete", links.act("delete", record.subject), is_danger=True))


def _next(state: ScheduleState) -> Iterator[datetime]:
    first, until = state.next_time, state.plan.until
    if first is None:
        return
    yield first
    later = next_times(state.plan.spec, first)
    yield from islice(takewhile(lambda at: until is None or at <= until, later), NEXT_MAX - 1)


def _notes(state: ScheduleState) -> Iterator[str]:
    if state.buffered:
        yield f"{len(state.buffered)} waiting"
    for each in state.backfills:
        yield f"backfill to {each.end:%Y-%m-%d %H:%M}: {each.begun} begun"
    if state.plan.until is not None:
        yield f"until {state.plan.until:%Y-%m-%d %H:%M}"


def spec_text(spec: Cron | Every | Calendar) -> str:
    """Return a spec in words.

    >>> spec_text(Cron("0 9 * * MON-FRI", tz="Europe/Berlin")), spec_text(Every(minutes=5))
    ('0 9 * * MON-FRI (Europe/Berlin)', 'every 0:05:00')
    """
    match spec:
        case Cron():
            return f"{spec.expression} ({spec.tz})"
        case Every():
            moved = f" at {spec.offset}" if spec.offset > timedelta() else ""
            return f"every {spec.interval}{moved}"
        case Calendar():
            parts: list[tuple[str, Sequence[object]]] = [
                ("at", [f"{it:%H:%M:%S}".removesuffix(":00") for it in spec.at]),
                ("on", spec.weekdays),
                ("days", spec.days),
                ("months", spec.months),
            ]
            texts = [f"{name} {', '.join(map(str, each))}" for name, each in parts if each]
            without = [f"without {len(spec.without)} dates"] if spec.without else []
            return f"{' '.join([*texts, *without])} ({spec.tz})"
