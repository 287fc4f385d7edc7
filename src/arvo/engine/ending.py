"""Ending: what is sent when a workflow fails or is cancelled: undos, cancellations, the news."""

from collections.abc import Iterator
from typing import Any, Final

from arvo.core.cancellation import CANCELLATION, CANCELLED, Cancellation, cancel_type
from arvo.core.command import Emit, Fail
from arvo.core.domain import Domain
from arvo.core.frozen import FrozenDict
from arvo.core.issue import Issues
from arvo.core.record import ChildRun, Record
from arvo.core.subject import Subject
from arvo.core.version import WILDCARD, Dataschema
from arvo.core.violation import ContractViolation, Violated, Violation
from arvo.engine.draft import Draft, fault_draft, request_draft
from arvo.engine.system import WorkflowHandler
from arvo.handlers.moment import Moment

# What an undo keeps of its `Emit`, beside payload and type.
_KEPT: Final = ("to", "domain", "redirectto", "accesscontrol", "executionunits", "extensions")


def undo_of(handler: WorkflowHandler, moment: Moment, emit: Emit) -> FrozenDict | Violation:
    """Write an undo as JSON, or say why it could not be sent: better now than when it is due."""
    drafted = request_draft(handler, moment, emit)
    if not isinstance(drafted, Draft):
        return drafted
    data = drafted.payload.write(emit.payload)
    if isinstance(data, Issues):
        return ContractViolation(f"{drafted.type} does not take this undo", data)
    kept = {name: getattr(emit, name) for name in _KEPT if getattr(emit, name)}
    if "domain" in kept:
        kept["domain"] = list(kept["domain"])
    return FrozenDict({"type": drafted.type, "data": data, **kept})


def undo_drafts(
    handler: WorkflowHandler, moment: Moment, undos: tuple[FrozenDict, ...]
) -> tuple[Draft, ...] | Violation:
    """Draft the undos that are due, last first."""
    drafts: list[Draft] = []
    for undo in reversed(undos):
        kept: dict[str, Any] = {name: undo[name] for name in _KEPT if name in undo}
        drafted = request_draft(handler, moment, Emit(undo["data"], type=undo["type"], **kept))
        if not isinstance(drafted, Draft):
            return drafted
        drafts.append(drafted)
    return tuple(drafts)


def open_children(record: Record) -> Iterator[ChildRun]:
    """Give the children that have not answered yet."""
    for id_ in record.unanswered:
        child = record.children.get(id_)
        if child is not None:
            yield child


def cancel_draft(moment: Moment, child: ChildRun, reason: str) -> Draft | Violation:
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
        domains=(child.domain if child.domain is not None else Domain.LOCAL,),
    )


def fail_draft(handler: WorkflowHandler, moment: Moment, current: Record, fail: Fail) -> Draft:
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
