"""Termination: the events that a failure, a cancellation or an abandoned child makes."""

from collections.abc import Iterator

from arvo.core.command import Fail
from arvo.core.contracts.event_spec import EventSpec
from arvo.core.events.dataschema import WILDCARD, Dataschema
from arvo.core.events.protocol import CANCELLATION, CANCELLED, Cancellation, cancel_type
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.requests import ChildRun
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.apply_commands import TurnEffects
from arvo.engine.step.compensation import compensation_drafts
from arvo.engine.step.draft import Draft, fault_draft
from arvo.engine.system.handler import WorkflowHandler
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
    children = [
        current.children[id_] for id_ in outcome.abandoned_requests if id_ in current.children
    ]
    reason = f"{handler.source} no longer waits for it"
    if isinstance(cancellation, Cancellation):
        children, reason = list(open_children(current)), cancellation.reason
        if cancellation.by is not None and cancellation.by == current.parent:
            # The parent has ended or abandoned this child, so it gets no system error, not even for
            # a failure.
            fail = None
        elif effects.status == "cancelled":
            fail = make_cancelled_fail(cancellation)
    for child in children:
        draft = cancel_draft(turn, child, reason)
        if not isinstance(draft, Draft):
            return draft
        drafts.append(draft)
    if fail is not None:
        drafts.append(fail_draft(handler, turn, current, fail))
    return tuple(drafts)


def open_children(record: Record) -> Iterator[ChildRun]:
    """Yield the children that have not replied yet."""
    for id_ in record.unanswered:
        child = record.children.get(id_)
        if child is not None:
            yield child


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
