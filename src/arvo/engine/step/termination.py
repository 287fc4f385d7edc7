"""Termination: the events that end a workflow or its children, and what comes after its end."""

from datetime import datetime
from typing import Any

from attrs import evolve

from arvo.core.command import Fail, Log
from arvo.core.commit import Commit, Outcome
from arvo.core.contracts.event_spec import EventSpec
from arvo.core.events.dataschema import WILDCARD, Dataschema
from arvo.core.events.event import Event
from arvo.core.events.protocol import (
    CANCELLATION,
    CANCELLED,
    Cancellation,
    SystemFault,
    cancel_type,
    is_system_error,
)
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.requests import ChildRun
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.admit import is_signal
from arvo.engine.step.apply_commands import TurnEffects
from arvo.engine.step.compensation import compensation_drafts
from arvo.engine.step.draft import Draft, fault_draft
from arvo.engine.step.pending import PENDING_REQUESTS_MAX, find_request, refuse_reply
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.turn_input import TurnInput, TurnOutcome


def termination_drafts(
    handler: WorkflowHandler,
    turn: TurnInput,
    current: Record,
    effects: TurnEffects,
    outcome: TurnOutcome,
) -> tuple[Draft, ...] | Violation:
    """Draft the events that end the workflow, and those that cancel its abandoned children.

    A failed or cancelled workflow sends its compensations first, in reverse order.
    """
    cancellation, fail = turn.event.data, effects.fail
    is_cancelled = isinstance(cancellation, Cancellation)
    if fail is None and not is_cancelled and not outcome.abandoned_requests:
        return ()
    drafts: list[Draft] = []
    if effects.status in ("failed", "cancelled"):
        requests = compensation_drafts(handler, turn, effects.compensations)
        if not isinstance(requests, tuple):
            return requests
        drafts += requests
    abandoned = f"{handler.source} no longer waits for it"
    reasons = {
        id_: effects.cancelled_children.get(id_, abandoned)
        for id_ in outcome.abandoned_requests
        if id_ in current.children
    }
    if isinstance(cancellation, Cancellation):
        reasons = dict.fromkeys(current.open_children, cancellation.reason)
        if cancellation.by is not None and cancellation.by == current.parent:
            # The parent has ended or abandoned this child, so it gets no system error, not even for
            # a failure.
            fail = None
        elif effects.status == "cancelled":
            fail = make_cancelled_fail(cancellation)
    for id_, reason in reasons.items():
        draft = cancel_draft(turn, current.children[id_], reason)
        if not isinstance(draft, Draft):
            return draft
        drafts.append(draft)
    if fail is not None:
        drafts.append(fail_draft(handler, turn, current, fail))
    return tuple(drafts)


def cancel_draft(turn: TurnInput, child: ChildRun, reason: str) -> Draft | Violation:
    """Draft the event that cancels a child; a violation if its stored subject is invalid."""
    try:
        address = Subject.parse(child.subject).orchestrator.name
    except Violated as violated:
        return violated.violation
    schema = Dataschema.parse(child.dataschema)
    uri = child.dataschema if schema is None else schema.uri
    return Draft(
        EventSpec(cancel_type(address), CANCELLATION, f"{uri}/{WILDCARD}"),
        Cancellation(reason, by=turn.event.subject),
        child.subject,
        address,
        turn.event.id,
        # The same domain as the event that started the child.
        (child.domain,),
    )


def fail_draft(handler: WorkflowHandler, turn: TurnInput, current: Record, fail: Fail) -> Draft:
    """Draft the system error to the initiator of the workflow, on the subject that it knows."""
    return fault_draft(
        handler.contract.version("latest"),
        fail,
        to=turn.subject.execution.initiator,
        subject=current.parent or current.subject,
        parentid=current.init,
        domains=handler.domains.system_error,
    )


def make_cancelled_fail(cancellation: Cancellation) -> Fail:
    """Return the failure that a cancellation becomes in the system error to the initiator."""
    return Fail(cancellation.reason, name=CANCELLED)


def decide_after_end(
    handler: WorkflowHandler, event: Event[Any], record: Record, now: datetime
) -> Commit | Violation:
    """Decide an event for a workflow that is done, was cancelled, or failed."""
    if record.status == "failed":
        return _keep_reply(handler, event, record, now)
    failed = isinstance(event.data, SystemFault) and event.parentid in record.produced
    # A compensation request failed, so an operator must see it.
    outcome: Outcome = "workflow_failed" if failed and record.status == "cancelled" else "late"
    return unchanged_commit(handler, event, record, outcome, f"the workflow is {record.status}")


def _keep_reply(
    handler: WorkflowHandler, event: Event[Any], record: Record, now: datetime
) -> Commit | Violation:
    """Decide an event that comes to a failed workflow: a reply that counts stays in the record.

    `revive` delivers it again. Nothing else is done with it, so it is late, and no dead letter.
    """
    note = "the workflow is failed"
    sent = find_request(record, event)
    if sent is None:
        return unchanged_commit(handler, event, record, "late", note)
    refused = refuse_reply(sent, event)
    if refused is not None:
        return refused
    if isinstance(handler, FlowHandler) and record.replies.to(event.parentid):
        # A flow takes one reply for a request.
        return unchanged_commit(handler, event, record, "late", note)
    if record.late_replies >= PENDING_REQUESTS_MAX:
        note = f"the workflow failed, and has kept {PENDING_REQUESTS_MAX} replies since"
        return unchanged_commit(handler, event, record, "workflow_failed", note)
    return evolve(
        unchanged_commit(handler, event, record, "late", f"{note}; a revival delivers it again"),
        now=now,
        before=record,
        record=evolve(
            record,
            revision=record.revision + 1,
            replies=record.replies.add(event),
            late_replies=record.late_replies + 1,
        ),
    )


def needs_active_run(handler: WorkflowHandler, event: Event[Any], record: Record) -> bool:
    """Return True for an event that a failed workflow neither keeps nor may ignore.

    That is a begin, a signal, and the failure of a compensation. It may ignore a timer, a
    cancellation (compensation has run already) and a successful reply to a compensation, and it
    keeps the replies to its open requests.
    """
    if event.type == handler.source or is_signal(handler, record.version, event):
        return True
    return event.parentid in record.produced and is_system_error(event.type)


def unchanged_commit(
    handler: WorkflowHandler, event: Event[Any], record: Record | None, outcome: Outcome, note: str
) -> Commit:
    """Return the commit of an event that changes nothing; *note* is the reason."""
    # A late reply or timer is ordinary, after a race or a failure. The sender of a signal or of a
    # cancellation expects an effect.
    is_notable = outcome == "late" and (
        event.type == cancel_type(handler.source)
        or (record is not None and is_signal(handler, record.version, event))
    )
    log = Log("info" if is_notable else "debug", "event without effect", {"arvo_reason": note})
    return Commit(
        handler=handler.source,
        event=event,
        outcome=outcome,
        expected=0 if record is None else record.revision,
        logs=(log,),
        note=note,
    )
