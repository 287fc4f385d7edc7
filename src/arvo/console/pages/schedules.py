"""Schedules: the page of the schedules of a system, and the acts on one of them."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from arvo.console.pages.forms import COMMAND, Act
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.acts import ActView
from arvo.console.views.schedules.acts import (
    SCHEDULE_VERBS,
    ScheduleVerb,
    read_signal,
    show_schedule_act,
)
from arvo.console.views.schedules.schedules import SchedulesView, show_schedule, state_of
from arvo.console.views.sending.send import CONSOLE_SOURCE
from arvo.console.views.state import meet_record
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.system import System
from arvo.handlers.schedule.handler import ScheduleHandler
from arvo.handlers.schedule.plan import ScheduleState
from arvo.interpreters.ports.results import PAGE_MAX
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.connection import ActOptions


async def schedules(client: Client, visit: Visit) -> Page:
    """Show the schedules of the system, the most recently changed of each handler first."""
    await visit.require("see")
    handlers = [it for it in client.system.handlers if isinstance(it, ScheduleHandler)]
    rows, has_more = [], False
    for handler in handlers:
        try:
            listed = await client.workflows(type=handler.source)
        except Violated as violated:
            raise Refused(501, "This backend cannot list schedules", str(violated)) from violated
        has_more |= len(listed) >= PAGE_MAX
        for stored in listed:
            if await visit.reader.may("see", stored.record):
                meet_record(client.system, stored.record, visit.redaction)
                verbs = await visit.reader.verbs(stored.record)
                rows.append(show_schedule(handler, stored, verbs, visit.links))
    return Page(
        template="schedules.html",
        title="Schedules",
        view=SchedulesView(
            rows=tuple(filter(None, rows)), has_handlers=bool(handlers), has_more=has_more
        ),
        section="schedules",
        is_live=True,
    )


def _state(system: System, record: Record) -> ScheduleState:
    handler = system.handler_at(record.handler)
    state = state_of(handler, record) if isinstance(handler, ScheduleHandler) else None
    if state is None:
        raise Refused(404, "There is no such action", "This workflow is no schedule.")
    return state


def _show(verb: ScheduleVerb, client: Client, record: Record, visit: Visit) -> ActView:
    return show_schedule_act(verb, _state(client.system, record), record, visit.links, COMMAND)


async def _perform(
    verb: ScheduleVerb, client: Client, subject: str, form: Mapping[str, str], act: ActOptions
) -> None:
    record = await client.record(subject)
    if record is None:
        issue = Issue("workflow", "a schedule", "nothing")
        raise Violated(ConfigViolation("the schedule has been removed", issue))
    signal = read_signal(verb, form, _state(client.system, record))
    # Without an actor it would be the signal of a program, which the audit log does not have.
    actor = act["actor"] or CONSOLE_SOURCE
    await client.signal(subject, signal, source=CONSOLE_SOURCE, actor=actor, reason=act["reason"])


SCHEDULE_ACTS: Final[Mapping[str, Act]] = {
    verb: Act("send", partial(_show, verb), partial(_perform, verb)) for verb in SCHEDULE_VERBS
}
