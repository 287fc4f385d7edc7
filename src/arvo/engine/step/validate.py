"""Validate: check an event before it is sent to its handler."""

from typing import Any

from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.violation import (
    Violation,
)
from arvo.engine.step.admit import (
    Admitted,
    admit,
    admit_event,
    admit_subject,
    admit_turn,
    admit_version,
)
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler


def validate(system: System, event: Event[Any], record: Record | None) -> Violation | None:
    """Return the violation that a step on *event* would return, or None.

    For entry points such as HTTP, where the sender still waits for a response: a step would find
    the same violation later, and the event would become a dead letter. *record* is the stored
    record of its subject. Only a step can find out whether the workflow still waits for the event.
    """
    handler = admit(system, event)
    if is_workflow(handler):
        admitted = _turn(handler, event, record)
    elif isinstance(handler, EventHandler):
        admitted = admit_event(handler, event)
    else:
        return handler
    return None if isinstance(admitted, Admitted) else admitted


def _turn(
    handler: WorkflowHandler, event: Event[Any], record: Record | None
) -> Admitted | Violation:
    subject = admit_subject(event)
    if not isinstance(subject, Subject):
        return subject
    started = record is not None and record.init
    version = record.version if record is not None and started else subject.orchestrator.version
    return admit_version(handler, version) or admit_turn(handler, version, event)
