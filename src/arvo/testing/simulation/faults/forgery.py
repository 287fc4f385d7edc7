"""Forgery: events that only the system itself may send, as an outsider would forge them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from attrs import evolve

from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.record import Record
from arvo.core.requests import SentRequest
from arvo.core.violations.violation import Violation
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System
from arvo.testing.simulation.faults.message import Forgery

# Returns why an event from outside may not enter, or None: see `check_outside`.
Door: TypeAlias = Callable[[System, Event[Any], Record | None], Violation | None]

OUTSIDER = "com.mallory"


def forge(
    forgery: Forgery, system: System, record: Record, sent: Sequence[Event[Any]], id_: str
) -> Event[Any] | None:
    """Make an event that would answer, time or cancel the workflow of *record*, or speak in its
    name; None if the workflow waits for no such event.

    *sent*: all events so far; payloads are copied from them. *id_*: the id of the forged event,
    but for a timer, which is compared with that of the record.
    """
    match forgery:
        case "reply":
            return _forge_reply(system, record, sent, id_)
        case "error":
            return _forge_error(system, record, id_)
        case "timer":
            return next((timer.event for timer in pending_timers(system, record)), None)
        case "cancellation":
            return _forge_cancellation(system, record, id_)
        case "request":
            return _forge_request(system, record, sent, id_)


def _open_request(record: Record) -> tuple[str, SentRequest] | None:
    """Return an open request inside the system: outside services may answer those of a domain."""
    open_ = (
        (id_, request)
        for id_, request in record.pending_requests.items()
        if request.domain is None and id_ not in record.replies.requests
    )
    return next(open_, None)


def _forge_reply(
    system: System, record: Record, sent: Sequence[Event[Any]], id_: str
) -> Event[Any] | None:
    if (found := _open_request(record)) is None:
        return None
    parentid, request = found
    asked = system.handler_at(request.to)
    types = () if asked is None else asked.contract.version("latest").emitted
    for event in sent:
        if event.type in types and event.source == request.to:
            return evolve(
                event, id=id_, subject=record.subject, to=record.handler, parentid=parentid
            )
    return None


def _forge_error(system: System, record: Record, id_: str) -> Event[Any] | None:
    found = _open_request(record)
    asked = None if found is None else system.handler_at(found[1].to)
    if found is None or asked is None:
        return None
    parentid, request = found
    return asked.contract.version("latest").system_error(
        SystemFault("Forged", "an outsider sends this error"),
        source=request.to,
        to=record.handler,
        subject=record.subject,
        parentid=parentid,
        id=id_,
    )


def _forge_cancellation(system: System, record: Record, id_: str) -> Event[Any] | None:
    handler = system.handler_at(record.handler)
    if not is_workflow(handler):
        return None
    contract = handler.contract.version("latest")
    return contract.cancel("forged", source=OUTSIDER, subject=record.subject, id=id_)


def _forge_request(
    system: System, record: Record, sent: Sequence[Event[Any]], id_: str
) -> Event[Any] | None:
    for event in sent:
        handler = system.handler_at(event.to)
        if handler is not None and not is_workflow(handler):
            return evolve(event, id=id_, source=record.handler, redirectto=None, parentid=None)
    return None
