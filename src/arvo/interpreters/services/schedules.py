"""Schedules: begins and updates the schedules that a system declares."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.core.events.identity import digest_id
from arvo.core.record import ENDED_STATUSES, Record
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System
from arvo.handlers.schedule.handler import ScheduleHandler
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Unavailable

# The pause before a backend that was unavailable is asked again.
RETRY_SECONDS: Final = 1.0

Send = Callable[[Event[Any]], Awaitable[None]]


async def declare_schedules(system: System, backend: Backend, send: Send) -> None:
    """Begin each schedule of *system* that has not begun, and update those with another plan.

    Any number of processes may do so at once: the events of one plan are the same event. Raises as
    the backend and *send* do.
    """
    for handler in system.handlers:
        if isinstance(handler, ScheduleHandler):
            await _declare(handler, backend, send)


async def retry_declaring(system: System, backend: Backend, send: Send) -> None:
    """Do so as soon as the backend is available."""
    while True:
        await asyncio.sleep(RETRY_SECONDS)
        try:
            return await declare_schedules(system, backend, send)
        except Unavailable:
            continue


async def _declare(handler: ScheduleHandler, backend: Backend, send: Send) -> None:
    event = declaration(handler, await backend.load(handler.begin().subject))
    if event is None:
        return
    try:
        await send(event)
    except Violated:
        # A process with another plan was the first to begin it.
        event = declaration(handler, await backend.load(event.subject))
        if event is None or event.type == handler.source:
            raise
        await send(event)


def declaration(handler: ScheduleHandler, record: Record | None) -> Event[Any] | None:
    """Return the event that makes a schedule follow the plan of the code; None if it does.

    *record*: that of the schedule. One that was changed or deleted by an operator stays as it is
    until the code declares another plan, and one that has failed is the operator's to revive.
    """
    if record is None or not record.init:
        return handler.begin()
    state: Any = record.state
    if record.status == "failed" or state is None or state["declared"] == handler.declared:
        return None
    # The same event in all processes that see the same record.
    id_ = digest_id("\0".join((record.subject, str(record.revision), handler.declared)))
    if record.status in ENDED_STATUSES:
        return handler.begin(id=id_, id_reuse_policy="allow")
    return handler.update(record.subject, id=id_)
