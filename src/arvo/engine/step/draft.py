"""Draft: an event before the step gives it an id, a time and a domain."""

from collections.abc import Mapping
from typing import Any, final

from attrs import evolve, frozen

from arvo.core.command import Complete, Emit, Fail
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.events.domain import DomainRule
from arvo.core.events.event import Event
from arvo.core.events.identity import GivenId
from arvo.core.events.protocol import FAULT, SystemFault, to_wire_text
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.payload import Payload
from arvo.core.record import Record
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.step.admit import Admitted
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.event_type import resolve_event_type
from arvo.handlers.services import find_accepting
from arvo.handlers.turn_input import TurnInput


@final
@frozen
class Child:
    """The run of a child workflow that an event starts.

    *redirectto*: the address that gets the completion. *parent*: the subject of the workflow that
    starts it, None where the child runs on its own.
    """

    workflow: str
    version: str
    redirectto: str
    parent: Subject | None


@final
@frozen(kw_only=True)
class Draft:
    """The content of one event; it becomes one event for each domain that *domains* resolve to.

    *by_rule*: one event for each domain rule, even where two rules resolve to one domain. Requests
    and completions of workflows are made that way. *extra*: the fields that the protocol adds to
    the payload's own data. *child*: set where the event starts a workflow, whose subject then
    depends on the domain.
    """

    type: str
    payload: Payload[Any]
    value: object
    dataschema: str
    subject: str
    to: str
    parentid: str
    redirectto: str | None = None
    accesscontrol: str | None = None
    executionunits: float | None = None
    id: GivenId = None
    extensions: FrozenDict = EMPTY
    domains: tuple[DomainRule, ...] = (None,)
    by_rule: bool = False
    event_domain: str | None = None
    extra: FrozenDict = EMPTY
    child: Child | None = None


def answer_draft(handler: EventHandler[Any], admitted: Admitted, emit: Emit) -> Draft | Violation:
    """Draft the answer of an event handler.

    It goes to *emit.to*, else to the `redirectto` of the consumed event, else to its `source`.
    """
    event, contract = admitted.event, admitted.contract
    event_type = resolve_event_type(
        emit, contract.types_of(emit.payload), contract.emitted, contract.dataschema
    )
    if not isinstance(event_type, str):
        return event_type
    return Draft(
        type=event_type,
        payload=contract.emitted[event_type],
        value=emit.payload,
        dataschema=contract.dataschema,
        subject=event.subject,
        to=emit.to or event.redirectto or event.source,
        redirectto=emit.redirectto,
        parentid=event.id,
        accesscontrol=emit.accesscontrol,
        executionunits=emit.executionunits,
        id=emit.id,
        extensions=emit.extensions,
        domains=emit.domain or handler.domains.emits,
        event_domain=contract.domain,
    )


def request_draft(handler: WorkflowHandler, turn: TurnInput, emit: Emit) -> Draft | Violation:
    """Draft the request of a workflow to a service.

    The service is found by the event type, which follows from the payload's class where the command
    names none. The reply comes back to the workflow unless *emit.redirectto* names another address.
    """
    event, services = turn.event, handler.services_of(turn.version)
    accepted = {service.type: service.accepted for service in services}
    candidates = tuple(
        service.type for service in services if service.accepted.type is type(emit.payload)
    )
    event_type = resolve_event_type(
        emit, candidates, accepted, f"{handler.source} (to complete, return Complete)"
    )
    if not isinstance(event_type, str):
        return event_type
    service = find_accepting(services, event_type)
    assert service is not None
    redirectto = emit.redirectto or handler.source
    draft = Draft(
        type=event_type,
        payload=service.accepted,
        value=emit.payload,
        dataschema=service.dataschema,
        subject=event.subject,
        to=emit.to or event_type,
        by_rule=True,
        redirectto=redirectto,
        parentid=event.id,
        accesscontrol=emit.accesscontrol,
        executionunits=emit.executionunits,
        id=emit.id,
        extensions=emit.extensions,
        domains=emit.domain or handler.domains.services,
        event_domain=service.domain,
    )
    if not isinstance(service, VersionedWorkflow):
        return draft
    return _with_child(draft, handler, event, service)


def _with_child(
    draft: Draft, handler: WorkflowHandler, event: Event[Any], service: VersionedContract[Any]
) -> Draft | Violation:
    """Add the child run to a request that starts a workflow.

    Its parent is this workflow, unless the payload names another parent or None.
    """
    parent: object = event.subject
    if isinstance(draft.value, Mapping) and PARENT_SUBJECT in draft.value:
        parent = draft.value[PARENT_SUBJECT]
    redirectto = draft.redirectto or handler.source
    parent_subject: Subject | None = None
    if parent is not None:
        try:
            parent_subject = Subject.parse(parent if isinstance(parent, str) else "")
        except Violated as violated:
            message = f"{handler.source} starts a workflow for an invalid parent"
            return ExecutionViolation(message, violated.violation.issues)
    child = Child(service.type, service.version, redirectto, parent_subject)
    return evolve(draft, child=child, extra=FrozenDict({PARENT_SUBJECT: parent}))


def completion_draft(
    handler: WorkflowHandler, turn: TurnInput, current: Record, complete: Complete
) -> Draft:
    """Draft the completion of a workflow.

    It goes to *complete.to*, else to the address that the run answers to, on the subject of the
    parent where there is one.
    """
    contract = handler.contract.version(turn.version)
    return Draft(
        type=contract.complete_type,
        payload=contract.completed,
        value=complete.payload,
        dataschema=contract.dataschema,
        subject=current.parent or current.subject,
        to=complete.to or turn.subject.answers_to,
        by_rule=True,
        redirectto=complete.redirectto or handler.source,
        parentid=current.init,
        accesscontrol=complete.accesscontrol,
        executionunits=complete.executionunits,
        id=complete.id,
        extensions=complete.extensions,
        domains=complete.domain or handler.domains.complete,
        event_domain=contract.domain,
    )


def fault_draft(
    contract: VersionedContract[Any],
    fail: Fail,
    *,
    to: str,
    subject: str,
    parentid: str,
    domains: tuple[DomainRule, ...],
) -> Draft:
    """Draft the system error event that a `Fail` becomes."""
    return Draft(
        type=contract.system_error_type,
        payload=FAULT,
        value=make_fault(fail),
        dataschema=contract.system_error_dataschema,
        subject=subject,
        to=to,
        parentid=parentid,
        executionunits=fail.executionunits,
        domains=domains,
        event_domain=contract.domain,
    )


def make_fault(fail: Fail) -> SystemFault:
    """Return a `Fail` as the payload of a system error."""
    reason: object = fail.reason
    # The payload refuses anything but a text, and its violation names the type.
    message: Any = to_wire_text(reason) if isinstance(reason, str) else reason
    return SystemFault(errorName=fail.name, errorMessage=message, errorStack=fail.stack)
