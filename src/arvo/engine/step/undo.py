"""Undo: what would undo a workflow's steps, kept as data until it is due."""

from collections.abc import Iterator
from typing import Any, Final

from arvo.core.command import Emit
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json import freeze_object
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ContractViolation, Violation
from arvo.engine.step.draft import Draft, request_draft
from arvo.engine.step.event_factory import Press, pressed
from arvo.engine.system.system import WorkflowHandler
from arvo.handlers.services import asked
from arvo.handlers.turn_input import TurnInput

# What an undo keeps of its `Emit`, beside payload and type.
_KEPT: Final = ("to", "domain", "redirectto", "accesscontrol", "executionunits", "extensions")
_UNSAID: Final = (None, (), EMPTY)


def undo_of(
    handler: WorkflowHandler, moment: TurnInput, current: Record, emit: Emit
) -> FrozenDict | Violation:
    """Write an undo as JSON, or say why it could not be sent: better now than when it is due."""
    drafted = request_draft(handler, moment, emit)
    if not isinstance(drafted, Draft):
        return drafted
    # Made and thrown away: only the event itself knows all that it would refuse.
    made = pressed(press_of(handler, moment, current), [drafted])
    if not isinstance(made, tuple):
        return made
    data = drafted.payload.write(emit.payload, drafted.beside)
    if isinstance(data, Issues):
        return ContractViolation(f"{drafted.type} does not take this undo", data)
    kept = {name: value for name in _KEPT if (value := getattr(emit, name)) not in _UNSAID}
    frozen = freeze_object({"type": drafted.type, "data": data, **kept}, "undo")
    if isinstance(frozen, Issues):
        return ContractViolation(f"{drafted.type} does not take this undo", frozen)
    return frozen


def press_of(handler: WorkflowHandler, moment: TurnInput, current: Record) -> Press:
    """Make the press for a turn of a workflow."""
    domain, units = handler.contract.domain, handler.executionunits
    now, revivals = moment.now, current.revivals
    return Press(handler.source, moment.event, domain, current.parent, units, now, revivals)


def undo_drafts(
    handler: WorkflowHandler, moment: TurnInput, undos: tuple[FrozenDict, ...]
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


def unfit_undos(handler: WorkflowHandler, version: str, record: Record) -> Iterator[Issue]:
    """Say which undos of a record another version of its workflow could not send."""
    services = handler.services_of(version)
    for position, undo in enumerate(record.compensations):
        path = f"record.undos[{position}]"
        service = asked(services, undo["type"])
        if service is None:
            known = ", ".join(each.type for each in services) or "none"
            yield Issue(f"{path}.type", f"one of {known}", short(undo["type"]))
            continue
        found = service.accepted.read(undo["data"], f"{path}.data")
        if isinstance(found, Issues):
            yield from found.items
