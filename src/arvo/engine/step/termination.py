"""Ending: what is sent when a workflow, or a child of it, ends before its time."""

from collections.abc import Iterator

from arvo.core.command import Fail
from arvo.core.events.cancellation import CANCELLATION, CANCELLED, Cancellation, cancel_type
from arvo.core.events.dataschema import WILDCARD, Dataschema
from arvo.core.events.subject import Subject
from arvo.core.record import ChildRun, Record
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.apply_commands import Wanted
from arvo.engine.step.draft import Draft, fault_draft
from arvo.engine.step.undo import undo_drafts
from arvo.engine.system.system import WorkflowHandler
from arvo.handlers.turn_input import TurnInput, TurnOutcome


def ending(
    handler: WorkflowHandler,
    moment: TurnInput,
    current: Record,
    found: Wanted,
    advanced: TurnOutcome,
) -> tuple[Draft, ...] | Violation:
    """Draft what is sent because the workflow, or a child that nobody waits for, ends here."""
    drafts: list[Draft] = []
    fail = found.failed
    if found.status in ("failed", "cancelled"):
        undone = undo_drafts(handler, moment, found.undos)
        if not isinstance(undone, tuple):
            return undone
        drafts += undone
    doomed = [current.children[id_] for id_ in advanced.abandoned if id_ in current.children]
    reason = f"{handler.source} waits for it no more"
    cancellation = moment.event.data
    if isinstance(cancellation, Cancellation):
        doomed, reason = list(open_children(current)), cancellation.reason
        if cancellation.by is not None and cancellation.by == current.parent:
            # The parent has ended, or goes another way: no news to it, not even of a failure.
            fail = None
        elif found.status == "cancelled":
            fail = cancelled_fail(cancellation)
    for child in doomed:
        drafted = cancel_draft(moment, child, reason)
        if not isinstance(drafted, Draft):
            return drafted
        drafts.append(drafted)
    if fail is not None:
        drafts.append(fail_draft(handler, moment, current, fail))
    return tuple(drafts)


def open_children(record: Record) -> Iterator[ChildRun]:
    """Give the children that have not answered yet."""
    for id_ in record.unanswered:
        child = record.children.get(id_)
        if child is not None:
            yield child


def cancel_draft(moment: TurnInput, child: ChildRun, reason: str) -> Draft | Violation:
    """Draft the event that cancels a child."""
    try:
        address = Subject.parse(child.subject).orchestrator.name
    except Violated as violated:
        return violated.violation
    schema = Dataschema.parse(child.dataschema)
    uri = child.dataschema if schema is None else schema.uri
    return Draft(
        type=cancel_type(address),
        payload=CANCELLATION,
        value=Cancellation(reason, by=moment.event.subject),
        dataschema=f"{uri}/{WILDCARD}",
        subject=child.subject,
        to=address,
        parentid=moment.event.id,
        # It leaves by the way that the child was begun by.
        domains=(child.domain,),
    )


def fail_draft(handler: WorkflowHandler, moment: TurnInput, current: Record, fail: Fail) -> Draft:
    """Tell whoever began the workflow, on the subject that they know (F102-F106)."""
    return fault_draft(
        handler.contract.version("latest"),
        fail,
        to=moment.subject.execution.initiator,
        subject=current.parent or current.subject,
        parentid=current.init,
        domains=handler.domains.system_error,
    )


def cancelled_fail(cancellation: Cancellation) -> Fail:
    """Say a cancellation as the failure that others see."""
    return Fail(cancellation.reason, name=CANCELLED)
