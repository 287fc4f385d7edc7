"""Step: one event, and all that follows from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from returns.result import Failure, Result, Success

from arvo.core.command import Log
from arvo.core.commit import Commit, Outcome
from arvo.core.events.cancellation import cancel_type
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault, is_system_error
from arvo.core.events.protocol import TimerFired, timer_event_type
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
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
from arvo.engine.step.advance import advance
from arvo.engine.step.build_commit import seal_answer, seal_turn
from arvo.engine.system.system import System, WorkflowHandler
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.invoke import reply
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable
from arvo.handlers.turn_input import TurnInput, TurnOutcome

Stepped: TypeAlias = Commit | Perform[Any] | Violation


def step(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    performed: Sequence[Performed] = (),
) -> Result[Commit | Perform[Any], Violation]:
    """Take one step: who answers *event*, what it wants, and what that changes.

    Pure: the same arguments give an equal result, ids included. *record* is what is remembered of
    the event's subject, None for nothing. *now*, with an offset, becomes the time of the events.
    Success holds a `Commit`, or a `Perform` where an effect is asked for: perform it, and step
    again with it appended to *performed*. Failure holds a violation, and nothing changes.
    """
    stepped = take(system, event, record, now=now, performed=performed)
    match stepped:
        case Commit() | Perform():
            return Success(stepped)
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ):
            return Failure(stepped)


def take(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    performed: Sequence[Performed] = (),
) -> Stepped:
    """Take one step, as a plain union: what `step` is to users, this is to the interpreters."""
    match admit(system, event):
        case EventHandler() as handler:
            return _answer(system, handler, event, now, performed)
        case (Resumable() | Orchestrator() | FlowHandler()) as handler:
            return _turn(system, handler, event, record, now, performed)
        case violation:
            return violation


def _answer(
    system: System,
    handler: EventHandler[Any],
    event: Event[Any],
    now: datetime,
    performed: Sequence[Performed],
) -> Stepped:
    admitted = admit_event(handler, event)
    if not isinstance(admitted, Admitted):
        return admitted
    function = handler.functions[admitted.contract.version]
    replied = reply(function, admitted.event, performed, stack=system.stacks)
    if not isinstance(replied, tuple):
        return replied
    return seal_answer(handler, admitted, replied, now)


def _turn(
    system: System,
    handler: WorkflowHandler,
    event: Event[Any],
    record: Record | None,
    now: datetime,
    performed: Sequence[Performed],
) -> Stepped:
    subject = admit_subject(event)
    if not isinstance(subject, Subject):
        return subject
    # What was revived after its first turn failed has not begun: its first turn is still to come.
    standing, record = record, record if record is not None and record.init else None
    gate = _gate(handler, event, subject, record)
    if gate is not None:
        return gate
    # A record may have been moved to another version than its subject names (see `migrate`).
    version = subject.orchestrator.version if record is None else record.version
    unknown = admit_version(handler, version)
    if unknown is not None:
        return unknown
    admitted = admit_turn(handler, version, event)
    if not isinstance(admitted, Admitted):
        return admitted
    # Checked after the payload: an event that fits no contract is refused even when nobody waits.
    late = _late(handler, admitted.event, record, now)
    if late is not None:
        return late
    awaited = awaited_with(record, admitted.event)
    moment = TurnInput(
        event=admitted.event,
        subject=subject,
        version=version,
        record=record,
        standing=standing,
        now=now,
        performed=performed,
        stack=system.stacks,
    )
    advanced = advance(handler, moment, awaited)
    if not isinstance(advanced, TurnOutcome):
        return advanced
    return seal_turn(handler, moment, awaited, advanced)


def _gate(
    handler: WorkflowHandler, event: Event[Any], subject: Subject, record: Record | None
) -> Commit | Violation | None:
    """Turn away what no turn may see: None lets the event pass."""
    if subject.orchestrator.name != handler.source:
        note = f"the subject belongs to {subject.orchestrator.name}"
        return _unchanged(handler, event, None, "wrong_handler", note)
    begins = event.type == handler.source
    if record is None:
        if begins:
            return None
        if event.type == cancel_type(handler.source):
            # It may have overtaken the event that begins the workflow, which would then run on.
            issue = Issue("subject", "a workflow that has begun", f"that of event {event.id!r}")
            return TransactionViolation("a cancellation came too early", "early", issue)
        return _unchanged(handler, event, None, "unknown_workflow", "no such workflow has begun")
    if _was_seen(record, event, begins=begins):
        return _unchanged(
            handler, event, record, "duplicate", "the workflow has consumed it before"
        )
    if record.status == "failed" and not _expected(handler, event, record):
        why = "for a reason unknown" if record.failure is None else record.failure.message
        return _unchanged(handler, event, record, "workflow_failed", f"the workflow failed: {why}")
    if begins:
        issue = Issue("subject", "a subject of its own", f"that of event {record.init!r}")
        return ExecutionViolation("the workflow has begun already", issue)
    return None


def _expected(handler: WorkflowHandler, event: Event[Any], record: Record) -> bool:
    """Tell what comes to a failed workflow and is nobody's loss: a timer, a cancellation (it has
    undone what it did already), the answer to an undo.
    """
    if event.type in (timer_event_type(handler.source), cancel_type(handler.source)):
        return True
    return event.parentid in record.produced and not is_system_error(event.type)


def _late(
    handler: WorkflowHandler, event: Event[Any], record: Record | None, now: datetime
) -> Commit | Violation | None:
    """Turn away what comes too late, or a timer that comes too early (promise I7)."""
    if record is None:
        return None
    if record.status != "active":
        lost = isinstance(event.data, SystemFault) and event.parentid in record.produced
        # What should have undone something did not: an operator must know.
        outcome: Outcome = "workflow_failed" if lost and record.status == "cancelled" else "late"
        return _unchanged(handler, event, record, outcome, f"the workflow is {record.status}")
    if not isinstance(event.data, TimerFired):
        return None
    timer = record.timers.get(event.data.name)
    if timer is None or timer.id != event.id:
        note = f"the timer {event.data.name!r} has fired, or was cancelled or set anew"
        return _unchanged(handler, event, record, "late", note)
    if now < event.data.at:
        issue = Issue("now", f"{event.data.at.isoformat()} or later", now.isoformat())
        message = f"the timer {event.data.name!r} of {handler.source} is delivered too early"
        return TransactionViolation(message, cause="early", issues=issue)
    return None


def _was_seen(record: Record, event: Event[Any], *, begins: bool) -> bool:
    """Notice a redelivery by what the record itself tells (B05, B06); the inbox knows the rest."""
    if begins:
        return event.id == record.init
    return any(
        event.id == reply.id and event.source == reply.source
        for reply in record.pending_requests.get(event.parentid or "", ())
    )


def _unchanged(
    handler: WorkflowHandler, event: Event[Any], record: Record | None, outcome: Outcome, note: str
) -> Commit:
    return Commit(
        handler=handler.source,
        event=event,
        outcome=outcome,
        expected=0 if record is None else record.revision,
        logs=(Log("warning", f"event {event.id} changes nothing: {note}"),),
        note=note,
    )


def awaited_with(record: Record | None, event: Event[Any]) -> Mapping[str, tuple[Event[Any], ...]]:
    """File the event under the request that it answers (F165)."""
    if record is None:
        return EMPTY
    if event.parentid is None or event.parentid not in record.pending_requests:
        return record.pending_requests
    return FrozenDict(
        {
            **record.pending_requests,
            event.parentid: (*record.pending_requests[event.parentid], event),
        }
    )
