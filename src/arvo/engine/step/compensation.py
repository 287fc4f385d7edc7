"""Compensation: the requests that undo what a workflow did, stored as JSON until they are due."""

from collections.abc import Iterator
from typing import Any, Final

from arvo.core.command import Emit
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import freeze_object
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ContractViolation, Violation
from arvo.engine.step.draft import Draft, request_draft
from arvo.engine.step.event_factory import EventFactory, make_events
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.turn_input import TurnInput

# The fields of its `Emit` that a compensation stores, besides payload and type.
_EMIT_FIELDS: Final = (
    *("to", "domain", "redirectto", "accesscontrol", "executionunits", "extensions"),
    *("workflow_id", "id_reuse_policy"),
)
_UNSET: Final = (None, (), EMPTY)


def make_compensation(
    handler: WorkflowHandler, turn: TurnInput, current: Record, emit: Emit
) -> FrozenDict | Violation:
    """Return a compensation as JSON, or a violation if it could not be sent later.

    The violation comes in the turn that registers it, where an author notices it, and not in the
    turn that fails.
    """
    draft = request_draft(handler, turn, emit)
    if not isinstance(draft, Draft):
        return draft
    # The events are made only as a check: an event validates more than a draft does.
    events = make_events(event_factory_for(handler, turn, current), [draft])
    if not isinstance(events, tuple):
        return events
    spec = draft.spec
    data = spec.payload.write(emit.payload, draft.extra)
    if isinstance(data, Issues):
        return ContractViolation(f"{spec.type} does not accept this compensation", data)
    fields = {name: value for name in _EMIT_FIELDS if (value := getattr(emit, name)) not in _UNSET}
    frozen = freeze_object({"type": spec.type, "data": data, **fields}, "compensate")
    if isinstance(frozen, Issues):
        return ContractViolation(f"{spec.type} does not accept this compensation", frozen)
    return frozen


def event_factory_for(handler: WorkflowHandler, turn: TurnInput, current: Record) -> EventFactory:
    """Return the event factory for one turn of a workflow."""
    return EventFactory(
        handler.source,
        turn.event,
        handler.contract.domain,
        current.parent,
        handler.executionunits,
        turn.now,
        current.revivals,
    )


def compensation_drafts(
    handler: WorkflowHandler, turn: TurnInput, compensations: tuple[FrozenDict, ...]
) -> tuple[Draft, ...] | Violation:
    """Draft the requests that compensate, in reverse order."""
    drafts: list[Draft] = []
    for stored in reversed(compensations):
        fields: dict[str, Any] = {name: stored[name] for name in _EMIT_FIELDS if name in stored}
        draft = request_draft(handler, turn, Emit(stored["data"], type=stored["type"], **fields))
        if not isinstance(draft, Draft):
            return draft
        drafts.append(draft)
    return tuple(drafts)


def unsupported_compensations(
    handler: WorkflowHandler, version: str, record: Record
) -> Iterator[Issue]:
    """Yield an issue for each compensation that another version of the workflow could not send."""
    services = handler.services_of(version)
    for position, stored in enumerate(record.compensations):
        path = f"record.compensations[{position}]"
        service = services.by_type.get(stored["type"])
        if service is None:
            known = ", ".join(service.type for service in services) or "none"
            yield Issue(f"{path}.type", f"one of {known}", short_repr(stored["type"]))
            continue
        payload = service.accepted.read(stored["data"], f"{path}.data")
        if isinstance(payload, Issues):
            yield from payload.items
