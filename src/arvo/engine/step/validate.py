"""Vet: what is wrong with an event, seen before any step takes it."""

from typing import Any

from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
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
from arvo.engine.system.system import System, WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable


def vet(system: System, event: Event[Any], record: Record | None) -> Violation | None:
    """Say which promise *event* breaks by itself; None where a step may take it.

    For the door, where whoever sends it still listens: a step would find the same, and the event
    would become a dead letter. *record* is what is remembered of its subject. Whether the workflow
    still waits for it only the step can tell.
    """
    match admit(system, event):
        case EventHandler() as handler:
            admitted = admit_event(handler, event)
        case (Resumable() | Orchestrator() | FlowHandler()) as handler:
            admitted = _turn(handler, event, record)
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ) as violation:
            return violation
    return None if isinstance(admitted, Admitted) else admitted


def _turn(
    handler: WorkflowHandler, event: Event[Any], record: Record | None
) -> Admitted | Violation:
    subject = admit_subject(event)
    if not isinstance(subject, Subject):
        return subject
    begun = record is not None and record.init
    version = record.version if record is not None and begun else subject.orchestrator.version
    return admit_version(handler, version) or admit_turn(handler, version, event)
