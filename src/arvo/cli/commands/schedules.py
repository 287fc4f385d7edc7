"""Schedules: the commands that list, pause, resume, trigger, backfill and delete schedules."""

from datetime import UTC, datetime
from functools import partial
from typing import Final

from cyclopts import App

from arvo.cli.commands.events import CLI_SOURCE, show_event
from arvo.cli.terminal.load import (
    Reason,
    SystemName,
    Url,
    load_system,
    require_existing,
    user_name,
)
from arvo.cli.terminal.output import TEXT, Output
from arvo.cli.terminal.pages import paged
from arvo.core.events.subject import subject_label
from arvo.core.record import Record
from arvo.engine.query import query
from arvo.handlers.schedule.handler import ScheduleHandler
from arvo.handlers.schedule.plan import ScheduleState
from arvo.handlers.schedule.signals import (
    BackfillSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
    ScheduleSignal,
    TriggerSchedule,
)
from arvo.interpreters.ports.results import PAGE_MAX
from arvo.interpreters.runtime.client import Client
from arvo.printable import printable

schedules_app: Final = App(
    name="schedules", help="List, pause, resume, trigger, backfill or delete schedules."
)


@schedules_app.command(name="list")
async def list_schedules(
    system: SystemName, /, *, limit: int = PAGE_MAX, backend: Url, output: Output = TEXT
) -> None:
    """List the schedules of a system: when each is due next, and the counts of its occurrences.

    Parameters
    ----------
    limit
        The most schedules of each handler that are listed.
    """
    loaded = load_system(system, backend)
    async with Client(loaded, require_existing(backend)) as client:
        for handler in loaded.handlers:
            if isinstance(handler, ScheduleHandler):
                fetch = partial(client.workflows, type=handler.source)
                async for workflow in paged(fetch, limit):
                    record = workflow.record
                    output.show(record.to_dict(), _line(handler, record))


def _line(handler: ScheduleHandler, record: Record) -> str:
    state = query(handler, record)
    label = subject_label(record.subject)
    if not isinstance(state, ScheduleState):
        return f"{label}  {record.status}"
    counts = state.counts
    parts = [
        f"{label}  {record.status}",
        "" if state.paused is None else f"paused ({printable(state.paused)})",
        "" if state.next_time is None else f"next {state.next_time.isoformat()}",
        f"begun {counts.begun}, completed {counts.completed}, failed {counts.failed}",
        f"skipped {counts.skipped}, missed {counts.missed}",
        f"{len(state.buffered)} waiting" if state.buffered else "",
        *(
            f"backfill to {each.end.isoformat()}: {each.begun} begun, at {each.after.isoformat()}"
            for each in state.backfills
        ),
    ]
    return "  ".join(filter(None, parts))


@schedules_app.command
async def pause(
    system: SystemName,
    schedule: str,
    /,
    *,
    reason: Reason = "",
    output: Output = TEXT,
    backend: Url,
) -> None:
    """Begin nothing more until the schedule is resumed."""
    await _signal(system, schedule, PauseSchedule(reason), reason, backend, output)


@schedules_app.command
async def resume(
    system: SystemName,
    schedule: str,
    /,
    *,
    reason: Reason = "",
    output: Output = TEXT,
    backend: Url,
) -> None:
    """Go on with the next occurrence of a paused schedule."""
    await _signal(system, schedule, ResumeSchedule(), reason, backend, output)


@schedules_app.command
async def trigger(
    system: SystemName,
    schedule: str,
    /,
    *,
    reason: Reason = "",
    output: Output = TEXT,
    backend: Url,
) -> None:
    """Begin a run of a schedule now, as far as its overlap policy allows."""
    await _signal(system, schedule, TriggerSchedule(), reason, backend, output)


@schedules_app.command
async def backfill(
    system: SystemName,
    schedule: str,
    start: datetime,
    end: datetime,
    /,
    *,
    reason: Reason = "",
    output: Output = TEXT,
    backend: Url,
) -> None:
    """Begin the past occurrences after START and up to END, one after the other.

    Times without an offset are in UTC.
    """
    payload = BackfillSchedule(_aware(start), _aware(end))
    await _signal(system, schedule, payload, reason, backend, output)


@schedules_app.command
async def delete(
    system: SystemName,
    schedule: str,
    /,
    *,
    reason: Reason = "",
    output: Output = TEXT,
    backend: Url,
) -> None:
    """End a schedule; its runs go on."""
    await _signal(system, schedule, DeleteSchedule(), reason, backend, output)


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.utcoffset() is None else time


async def _signal(
    system: str, schedule: str, payload: ScheduleSignal, reason: str, backend: str, output: Output
) -> None:
    loaded = load_system(system, backend)
    async with Client(loaded, require_existing(backend)) as client:
        actor = user_name() or CLI_SOURCE
        event = await client.signal(
            schedule, payload, source=CLI_SOURCE, actor=actor, reason=reason
        )
        show_event(event, output)
