"""Draft: an event before the step gives it an id, a time and a domain."""

from collections.abc import Mapping
from typing import Any, final

from attrs import define, frozen

from arvo.core.command import Complete, Emit, Fail
from arvo.core.contracts.event_spec import EventSpec
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.event_type import resolve_event_type
from arvo.core.events.domain import DomainRule
from arvo.core.events.event import Event
from arvo.core.events.identity import ID_REUSE_POLICY, SIGNAL, GivenId, check_begin
from arvo.core.events.protocol import SystemFault, to_wire_text
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.step.admit import Admitted
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.turn_input import TurnInput


@final
@frozen
class Child:
    """The run of a child workflow that an event starts.

    *redirectto*: the address that gets the completion. *parent*: the subject of the workflow that
    starts it, None where the child runs on its own. *workflow_id*: None where it is derived.
    """

    workflow: str
    version: str
    redirectto: str
    parent: Subject | None
    workflow_id: str | None = None


@final
@define
class Draft:
    """The content of one event; it becomes one event for each domain that *domains* resolve to.

    *by_rule*: one event for each domain rule, even where two rules resolve to one domain. Requests
    and completions of workflows are made that way. *extra*: the fields that the protocol adds to
    the payload's own data. *child*: set where the event starts a workflow, whose subject then
    depends on the domain.
    """

    # Not frozen: it lives until its event is made, and a frozen class takes four times as long.
    spec: EventSpec
    value: object
    subject: str
    to: str
    parentid: str
    domains: tuple[DomainRule, ...]
    by_rule: bool = False
    redirectto: str | None = None
    accesscontrol: str | None = None
    executionunits: float | None = None
    id: GivenId = None
    extensions: FrozenDict = EMPTY
    extra: FrozenDict = EMPTY
    child: Child | None = None


def answer_draft(handler: EventHandler[Any], admitted: Admitted, emit: Emit) -> Draft | Violation:
    """Draft the answer of an event handler.

    It goes to *emit.to*, else to the `redirectto` of the consumed event, else to its `source`.
    """
    event, contract = admitted.event, admitted.contract
    if emit.workflow_id is not None or emit.id_reuse_policy is not None:
        return _refuse_workflow_id(handler.source, emit)
    spec = None if emit.type is not None else contract.answer_by_class.get(type(emit.payload))
    if spec is None:
        types = contract.types_of(emit.payload)
        event_type = resolve_event_type(emit, types, contract.answers, contract.dataschema)
        if not isinstance(event_type, str):
            return event_type
        spec = contract.answers[event_type]
    return Draft(
        spec,
        emit.payload,
        event.subject,
        emit.to or event.redirectto or event.source,
        event.id,
        emit.domain or handler.domains.emits,
        redirectto=emit.redirectto,
        accesscontrol=emit.accesscontrol,
        executionunits=emit.executionunits,
        id=emit.id,
        extensions=emit.extensions,
    )


def request_draft(handler: WorkflowHandler, turn: TurnInput, emit: Emit) -> Draft | Violation:
    """Draft the request of a workflow to a service.

    The service is found by the event type, which follows from the payload's class where the command
    names none. The reply comes back to the workflow unless *emit.redirectto* names another address.
    """
    event, services = turn.event, handler.services_of(turn.version)
    service = None if emit.type is not None else services.request_of.get(type(emit.payload))
    if service is None:
        answer = _signal_answer(handler, turn, emit)
        if answer is not None:
            return answer
        candidates = services.by_class.get(type(emit.payload), ())
        event_type = resolve_event_type(
            emit, candidates, services.by_type, f"{handler.source} (to complete, return Complete)"
        )
        if not isinstance(event_type, str):
            return event_type
        service = services.by_type[event_type]
    draft = Draft(
        service.request,
        emit.payload,
        event.subject,
        emit.to or service.type,
        event.id,
        emit.domain or handler.domains.services,
        by_rule=True,
        redirectto=emit.redirectto or handler.source,
        accesscontrol=emit.accesscontrol,
        executionunits=emit.executionunits,
        id=emit.id,
        extensions=emit.extensions,
    )
    if isinstance(service, VersionedWorkflow):
        return _with_child(draft, handler, event, service, emit)
    if emit.workflow_id is not None or emit.id_reuse_policy is not None:
        return _refuse_workflow_id(handler.source, emit)
    return draft


def _refuse_workflow_id(handler: str, emit: Emit) -> Violation:
    expected = "none, as the event begins no workflow"
    issue = Issue("emit.workflow_id", expected, short_repr(emit.workflow_id))
    return ExecutionViolation(f"{handler} names a run of something that has none", issue)


def _signal_answer(handler: WorkflowHandler, turn: TurnInput, emit: Emit) -> Draft | None:
    """Draft the answer of a workflow to a signal; None where *emit* is none.

    It goes to *emit.to*, else to the `redirectto` of the signal, else to its `source`.
    """
    event, signals = turn.event, handler.signals_of(turn.version)
    asked = signals.by_type.get(event.type)
    is_other = emit.parentid is not None and emit.parentid != event.id
    for signal in signals if is_other else () if asked is None else (asked,):
        types = signal.types_of(emit.payload) if emit.type is None else (emit.type,)
        spec = signal.answers.get(types[0]) if len(types) == 1 else None
        to = emit.to or (None if is_other else event.redirectto or event.source)
        if spec is not None and to is not None:
            return Draft(
                spec,
                emit.payload,
                event.subject,
                to,
                emit.parentid or event.id,
                emit.domain or handler.domains.complete,
                redirectto=emit.redirectto or handler.source,
                accesscontrol=emit.accesscontrol,
                executionunits=emit.executionunits,
                id=emit.id,
                extensions=emit.extensions,
            )
    return None


def _with_child(
    draft: Draft,
    handler: WorkflowHandler,
    event: Event[Any],
    service: VersionedContract[Any],
    emit: Emit,
) -> Draft | Violation:
    """Add the child run to a request that starts a workflow.

    Its parent is this workflow, unless the payload names another parent or None.
    """
    if isinstance(service, VersionedWorkflow) and service.key is not None:
        return _with_keyed_run(draft, handler, service, emit)
    if emit.workflow_id is not None or emit.id_reuse_policy is not None:
        policy = emit.id_reuse_policy or "reject"
        try:
            check_begin(emit.workflow_id, policy)
        except Violated as violated:
            return violated.violation
        draft.extensions = FrozenDict({**draft.extensions, ID_REUSE_POLICY: policy})
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
    child = Child(service.type, service.version, redirectto, parent_subject, emit.workflow_id)
    draft.child, draft.extra = child, FrozenDict({PARENT_SUBJECT: parent})
    return draft


def _with_keyed_run(
    draft: Draft, handler: WorkflowHandler, service: VersionedWorkflow[Any, Any], emit: Emit
) -> Draft | Violation:
    """Address an event of a keyed contract to the run of its key, which has no parent."""
    if emit.workflow_id is not None or emit.id_reuse_policy is not None:
        return _refuse_workflow_id(handler.source, emit)
    try:
        key = service.keyed_id(emit.payload)
    except Violated as violated:
        return violated.violation
    draft.subject = str(service.keyed_subject(key))
    draft.extensions = FrozenDict({**draft.extensions, ID_REUSE_POLICY: SIGNAL})
    draft.extra = FrozenDict({PARENT_SUBJECT: None})
    draft.redirectto = None
    return draft


def completion_draft(
    handler: WorkflowHandler, turn: TurnInput, current: Record, complete: Complete
) -> Draft:
    """Draft the completion of a workflow.

    It goes to *complete.to*, else to the address that the run answers to, on the subject of the
    parent where there is one.
    """
    contract = handler.contract.version(turn.version)
    return Draft(
        contract.completion,
        complete.payload,
        current.parent or current.subject,
        complete.to or turn.subject.answers_to,
        current.init,
        complete.domain or handler.domains.complete,
        by_rule=True,
        redirectto=complete.redirectto or handler.source,
        accesscontrol=complete.accesscontrol,
        executionunits=complete.executionunits,
        id=complete.id,
        extensions=complete.extensions,
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
        contract.fault,
        make_fault(fail),
        subject,
        to,
        parentid,
        domains,
        executionunits=fail.executionunits,
    )


def make_fault(fail: Fail) -> SystemFault:
    """Return a `Fail` as the payload of a system error."""
    reason: object = fail.reason
    # The payload refuses anything but a text, and its violation names the type.
    message: Any = to_wire_text(reason) if isinstance(reason, str) else reason
    return SystemFault(errorName=fail.name, errorMessage=message, errorStack=fail.stack)
