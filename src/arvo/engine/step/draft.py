"""Draft: an event that lacks only what the step gives it."""

from collections.abc import Mapping
from typing import Any, final

from attrs import evolve, frozen

from arvo.core.command import Complete, Emit, Fail
from arvo.core.contracts.versioned import PARENT_SUBJECT, VersionedContract, VersionedWorkflow
from arvo.core.events.domain import DomainRule
from arvo.core.events.event import Event
from arvo.core.events.fault import FAULT, SystemFault, sendable
from arvo.core.events.identity import GivenId
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.payload import Payload
from arvo.core.record import Record
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.step.admit import Admitted
from arvo.engine.system.system import WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.event_type import named
from arvo.handlers.services import asked
from arvo.handlers.turn_input import TurnInput


@final
@frozen
class Child:
    """The run that an event begins: of which workflow, answering where, on whose behalf."""

    workflow: str
    version: str
    redirectto: str
    parent: Subject | None


@final
@frozen(kw_only=True)
class Draft:
    """One event that is wanted: one for each domain that *domains* resolve to.

    *by_rule*: one for each rule instead, as a workflow's requests and completions are made.
    *beside*: what the protocol adds to the payload's own data. *child*: where the event begins a
    workflow, whose subject then depends on the domain.
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
    beside: FrozenDict = EMPTY
    child: Child | None = None


def answer_draft(handler: EventHandler[Any], admitted: Admitted, emit: Emit) -> Draft | Violation:
    """Draft what a handler of single events answers (F094)."""
    event, contract = admitted.event, admitted.contract
    name = named(emit, contract.types_of(emit.payload), contract.emitted, contract.dataschema)
    if not isinstance(name, str):
        return name
    return Draft(
        type=name,
        payload=contract.emitted[name],
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


def request_draft(handler: WorkflowHandler, moment: TurnInput, emit: Emit) -> Draft | Violation:
    """Draft what a workflow asks of a service (F126, F128, F129)."""
    event, services = moment.event, handler.services_of(moment.version)
    accepted = {service.type: service.accepted for service in services}
    fitting = tuple(
        service.type for service in services if service.accepted.type is type(emit.payload)
    )
    name = named(emit, fitting, accepted, f"{handler.source} (to complete, return Complete)")
    if not isinstance(name, str):
        return name
    service = asked(services, name)
    assert service is not None
    redirectto = emit.redirectto or handler.source
    draft = Draft(
        type=name,
        payload=service.accepted,
        value=emit.payload,
        dataschema=service.dataschema,
        subject=event.subject,
        to=emit.to or name,
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
    return _beginning(draft, handler, event, service)


def _beginning(
    draft: Draft, handler: WorkflowHandler, event: Event[Any], service: VersionedContract[Any]
) -> Draft | Violation:
    """Give a child workflow its own subject: on behalf of this one unless told otherwise (F128)."""
    parent: object = event.subject
    if isinstance(draft.value, Mapping) and PARENT_SUBJECT in draft.value:
        parent = draft.value[PARENT_SUBJECT]
    redirectto = draft.redirectto or handler.source
    above: Subject | None = None
    if parent is not None:
        try:
            above = Subject.parse(parent if isinstance(parent, str) else "")
        except Violated as violated:
            message = f"{handler.source} begins a workflow for a parent that is none"
            return ExecutionViolation(message, violated.violation.issues)
    child = Child(service.type, service.version, redirectto, above)
    return evolve(draft, child=child, beside=FrozenDict({PARENT_SUBJECT: parent}))


def completion_draft(
    handler: WorkflowHandler, moment: TurnInput, current: Record, complete: Complete
) -> Draft:
    """Draft what a workflow completes with (F127, F131)."""
    contract = handler.contract.version(moment.version)
    return Draft(
        type=contract.complete_type,
        payload=contract.completed,
        value=complete.payload,
        dataschema=contract.dataschema,
        subject=current.parent or current.subject,
        to=complete.to or moment.subject.answers_to,
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
    """Draft the system error that a `Fail` becomes (F101-F106)."""
    return Draft(
        type=contract.system_error_type,
        payload=FAULT,
        value=told(fail),
        dataschema=contract.system_error_dataschema,
        subject=subject,
        to=to,
        parentid=parentid,
        domains=domains,
        event_domain=contract.domain,
    )


def told(fail: Fail) -> SystemFault:
    """Say a `Fail` as the payload of a system error."""
    reason: object = fail.reason
    # Anything but a text is refused by the payload, which names its type.
    message: Any = sendable(reason) if isinstance(reason, str) else reason
    return SystemFault(errorName=fail.name, errorMessage=message, errorStack=fail.stack)
