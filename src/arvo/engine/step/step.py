"""Step: decide everything that one event changes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from returns.result import Failure, Result, Success

from arvo.core.command import Command, Log
from arvo.core.commit import Commit, Outcome
from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.events.event import Event
from arvo.core.events.protocol import (
    Cancellation,
    SystemFault,
    TimerFired,
    cancel_type,
    is_system_error,
    timer_event_type,
)
from arvo.core.events.subject import Subject
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
    is_signal,
)
from arvo.engine.step.advance import advance, check_cancellation
from arvo.engine.step.build_commit import build_event_handler_commit, build_turn_commit
from arvo.engine.step.doors import find_id_conflict
from arvo.engine.step.oversize import limit_sizes
from arvo.engine.step.pending import file_reply, find_request, refuse_reply
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.system import System, require_system
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import invoke
from arvo.handlers.turn_input import TurnInput, TurnOutcome

StepResult: TypeAlias = Commit | Perform[Any] | Violation


def step(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    performed: Sequence[Performed] = (),
) -> Result[Commit | Perform[Any], Violation]:
    """Take one step: find the handler of *event*, run it, and return everything that it changes.

    Pure: the same arguments give an equal result, ids included. *record* is the stored record of
    the event's subject, or None. *now*, with a UTC offset, becomes the time of the new events.
    Success holds a `Commit`, or a `Perform` where the handler asks for an effect: perform it, or
    all of its `effects` at once, and step again with each outcome appended to *performed*, in the
    order in which the effects ended. Failure holds a violation; nothing changes.
    """
    require_system(system, "step")
    result = step_plain(system, event, record, now=now, performed=performed)
    match result:
        case Commit() | Perform():
            return Success(result)
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ):
            return Failure(result)


def step_plain(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    performed: Sequence[Performed] = (),
) -> StepResult:
    """Take one step and return a plain union: the form of `step` that interpreters use."""
    handler = admit(system, event)
    if is_workflow(handler):
        return _step_workflow(system, handler, event, record, now, performed)
    if isinstance(handler, EventHandler):
        return _step_event_handler(system, handler, event, now, performed)
    return handler


def _step_event_handler(
    system: System,
    handler: EventHandler[Any],
    event: Event[Any],
    now: datetime,
    performed: Sequence[Performed],
) -> StepResult:
    admitted = admit_event(handler, event)
    if not isinstance(admitted, Admitted):
        return admitted
    function = handler.functions[admitted.contract.version]
    commands = invoke(function, admitted.event, performed, stack=system.stacks)
    if not isinstance(commands, tuple):
        return commands
    return limit_sizes(
        commands, lambda limited: build_event_handler_commit(handler, admitted, limited, now)
    )


def _step_workflow(
    system: System,
    handler: WorkflowHandler,
    event: Event[Any],
    record: Record | None,
    now: datetime,
    performed: Sequence[Performed],
) -> StepResult:
    subject = admit_subject(event)
    if not isinstance(subject, Subject):
        return subject
    # A workflow that was revived after its first turn failed has not started yet.
    stored, record = record, record if record is not None and record.init else None
    decided = _check_before_turn(system, handler, event, subject, record)
    if decided is not None:
        return decided
    # `migrate` may have moved a record to another version than its subject names.
    version = subject.orchestrator.version if record is None else record.version
    admitted = admit_version(handler, version) or admit_turn(handler, version, event)
    if not isinstance(admitted, Admitted):
        return admitted
    # After the payload: an event that fits no contract is a violation even if it comes too late.
    decided = _check_still_expected(handler, admitted.event, record, now)
    if decided is not None:
        return decided
    filed = file_reply(record, admitted.event)
    turn = TurnInput(
        event=admitted.event,
        subject=subject,
        version=version,
        record=record,
        stored=stored,
        now=now,
        performed=performed,
        stack=system.stacks,
    )
    outcome = advance(handler, turn, filed)
    if not isinstance(outcome, TurnOutcome):
        return outcome

    def build(commands: tuple[Command, ...]) -> Commit | Violation:
        unchanged = commands is outcome.commands
        limited = outcome if unchanged else TurnOutcome(commands=commands)
        return build_turn_commit(handler, turn, filed, limited)

    return limit_sizes(outcome.commands, build)


def _check_before_turn(
    system: System,
    handler: WorkflowHandler,
    event: Event[Any],
    subject: Subject,
    record: Record | None,
) -> Commit | Violation | None:
    """Decide an event that no turn may handle; return None for every other event."""
    if subject.orchestrator.name != handler.source:
        note = f"the subject belongs to {subject.orchestrator.name}"
        return _unchanged_commit(handler, event, None, "wrong_handler", note)
    starts = event.type == handler.source
    if record is None:
        if starts:
            return None
        if event.type == cancel_type(handler.source):
            # The cancellation may have overtaken the event that starts the workflow. Ignoring it
            # would let the workflow run on.
            issue = Issue("subject", "a workflow that has started", "one that has not")
            message = f"the cancellation {event.id!r} arrived before the workflow started"
            return TransactionViolation(message, "early", issue)
        note = "no workflow with this subject has started"
        return _unchanged_commit(handler, event, None, "unknown_workflow", note)
    if _is_duplicate(record, event, starts=starts):
        conflict = find_id_conflict(record, event)
        # A handler that is repeated after a crash may emit other content by the same id.
        if conflict is not None and not _is_from_handler(system, event):
            return conflict
        note = "the workflow has consumed it already"
        return _unchanged_commit(handler, event, record, "duplicate", note)
    if record.status == "failed" and not _may_be_ignored(handler, event, record):
        reason = "unknown reason" if record.failure is None else record.failure.message
        note = f"the workflow failed: {reason}"
        return _unchanged_commit(handler, event, record, "workflow_failed", note)
    if starts:
        issue = Issue("subject", "a new subject", f"the subject of event {record.init!r}")
        return ExecutionViolation("the workflow has already started", issue)
    return None


def _is_duplicate(record: Record, event: Event[Any], *, starts: bool) -> bool:
    """Return True for a redelivery that the record itself shows; inboxes catch all others.

    CloudEvents 1.0: two events with the same source and id are duplicates.
    """
    if starts:
        return event.id == record.init
    sent = find_request(record, event)
    return sent is not None and any(
        event.id == reply.id and event.source == reply.source for reply in sent.replies
    )


def _is_from_handler(system: System, event: Event[Any]) -> bool:
    is_workflow_elsewhere = is_orchestrator_type(event.source)
    return is_workflow_elsewhere or system.handler_at(event.source) is not None


def _may_be_ignored(handler: WorkflowHandler, event: Event[Any], record: Record) -> bool:
    """Return True for an event that a failed workflow may ignore.

    That is a timer, a cancellation (compensation has run already) and a successful reply to a
    compensation request.
    """
    if event.type in (timer_event_type(handler.source), cancel_type(handler.source)):
        return True
    return event.parentid in record.produced and not is_system_error(event.type)


def _check_still_expected(
    handler: WorkflowHandler, event: Event[Any], record: Record | None, now: datetime
) -> Commit | Violation | None:
    """Decide an event that comes too late, and a timer that comes too early (promise I7)."""
    if record is None:
        return None
    if record.status != "active":
        failed = isinstance(event.data, SystemFault) and event.parentid in record.produced
        # A compensation request failed, so an operator must see it.
        outcome: Outcome = "workflow_failed" if failed and record.status == "cancelled" else "late"
        return _unchanged_commit(
            handler, event, record, outcome, f"the workflow is {record.status}"
        )
    if isinstance(event.data, TimerFired):
        return _check_timer(handler, event, event.data, record, now)
    if isinstance(event.data, Cancellation):
        return check_cancellation(event, event.data, record)
    if event.type == handler.source or is_signal(handler, record.version, event):
        return None
    sent = find_request(record, event)
    if sent is None:
        note = f"it answers no open request (parentid {event.parentid!r})"
        return _unchanged_commit(handler, event, record, "late", note)
    return refuse_reply(sent, event)


def _check_timer(
    handler: WorkflowHandler, event: Event[Any], fired: TimerFired, record: Record, now: datetime
) -> Commit | Violation | None:
    """Decide a timer that is not pending, is not as the record has it, or comes too early."""
    timer = record.timers.get(fired.name)
    if timer is None or timer.id != event.id:
        note = f"the timer {fired.name!r} has fired, or was cancelled or rescheduled"
        return _unchanged_commit(handler, event, record, "late", note)
    if fired.at.isoformat() != timer.at or fired.payload != timer.payload:
        issue = Issue("data", f"the timer as it was set, due at {timer.at}", fired.at.isoformat())
        return ContractViolation(f"the timer {fired.name!r} of {handler.source} is forged", issue)
    if now < fired.at:
        issue = Issue("now", f"{fired.at.isoformat()} or later", now.isoformat())
        message = f"the timer {fired.name!r} of {handler.source} is delivered too early"
        return TransactionViolation(message, cause="early", issues=issue)
    return None


def _unchanged_commit(
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
