"""Doors: the check of an event from outside, with the record and the registry that it needs."""

from collections.abc import Awaitable, Callable
from typing import Any

from arvo.core.begin import find_other_run, has_chosen_id
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ContractViolation, Violation
from arvo.engine.step.admit import check_remote
from arvo.engine.step.doors import (
    check_outside,
    claimed_workflows,
    event_verb,
    find_id_conflict,
    record_subject,
)
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.missing import missing_service
from arvo.engine.system.system import System
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.services import SupportsServiceRegistry
from arvo.interrupts import is_interrupt


async def refuse_outside(
    system: System,
    backend: Backend,
    event: Event[Any],
    *,
    unserved: bool = False,
    admit: Callable[[Event[Any]], Awaitable[None]] | None = None,
) -> Violation | None:
    """Return why an event from outside may not enter, or None.

    An event of a version that only another worker serves passes; with *unserved* also one that no
    live worker serves. One for a remote handler is compared with the versions that *system* lists
    of it. *admit* is called with a signal for a workflow that has not started, and may
    raise `TooEarly`. Otherwise raises as the backend does.
    """
    subject, record = record_subject(system, event), None
    if subject is not None:
        record = await backend.load(subject)
    violation = await _refuse(system, backend, event, record, unserved)
    if violation is None and has_chosen_id(event) and event_verb(system, event) == "begin":
        violation = await find_begin_conflict(backend, event)
    if violation is None and admit is not None and _is_early(system, event, record):
        await admit(event)
    return violation


async def find_begin_conflict(backend: Backend, event: Event[Any]) -> Violation | None:
    """Return why the workflow id of a begin is taken; of two that come at once, a step decides.

    A run with another subject would be another run. It is refused all the same: a sender that
    begins from another address, or by a newer version, means the same one.
    """
    id_ = workflow_id_of(event.subject)
    for stored in await backend.workflows(workflow_id=id_, handler=event.to) if id_ else ():
        record = stored.record
        if not record.init:
            continue
        is_same_subject = record.subject == event.subject
        find = find_id_conflict if is_same_subject else find_other_run
        conflict = find(record, event)
        if conflict is not None:
            return conflict
    return None


def _is_early(system: System, event: Event[Any], record: Record | None) -> bool:
    """Return whether *event* is for a workflow that has not started, and does not begin it."""
    handler = system.handler_at(event.to)
    if not is_workflow(handler) or event.type == handler.source:
        return False
    return record is None or not record.init


async def _refuse(
    system: System, backend: Backend, event: Event[Any], record: Record | None, unserved: bool
) -> Violation | None:
    others = frozenset[str]()
    needed = missing_service(system, event, record)
    if needed is not None and (unserved or system.is_remote(needed.address)):
        # Checked where its handler is.
        return None if unserved else _check(event, lambda: check_remote(system, event))
    if (needed or claimed_workflows(event)) and isinstance(backend, SupportsServiceRegistry):
        registered = await backend.services.list()
        if needed and any(each.serves(needed.address, needed.version) for each in registered):
            return None
        others = frozenset(address for each in registered for address in each.versions)
    return _check(event, lambda: check_outside(system, event, record, others))


def _check(event: Event[Any], check: Callable[[], Violation | None]) -> Violation | None:
    try:
        return check()
    except BaseException as error:
        if is_interrupt(error):
            raise
        # A validator of a payload class may raise anything.
        issue = Issue("data", "a payload that its class accepts", short_repr(error))
        return ContractViolation(f"event {event.id!r} cannot be read", issue)
