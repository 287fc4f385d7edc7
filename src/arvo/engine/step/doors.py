"""Doors: which events from outside may enter a system.

Outside is every sender but the handlers of the system and an operator: the callers of `send` and
of HTTP, the answers of a domain, other programs on a broker. They may begin workflows, address
handlers, send signals, and answer an open request that left by a domain. Timers, cancellations,
forks and the name of a workflow of this system belong to those inside.
"""

from collections.abc import Container
from typing import Any, Literal, TypeAlias

from arvo.core.begin import compare_begin, has_chosen_id, refuse_begin
from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.digest import content_digest
from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type, fork_type, timer_event_type
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import (
    ContractViolation,
    ExecutionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.admit import (
    Admitted,
    admit,
    admit_event,
    admit_subject,
    admit_turn,
    admit_version,
    check_emitted,
    describe_event,
    is_signal,
)
from arvo.engine.step.pending import refuse_reply
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler

# What an event asks of the handler at its address: see `event_verb`.
EventVerb: TypeAlias = Literal["begin", "request", "signal", "answer", "cancel"]


def event_verb(system: System, event: Event[Any]) -> EventVerb:
    """Return what *event* asks for: it begins, signals, answers or cancels a workflow, or it is a
    request to an event handler.
    """
    handler = system.handler_at(event.to)
    if not is_workflow(handler):
        return "request"
    if event.type == handler.source:
        return "begin"
    if event.type == cancel_type(handler.source):
        return "cancel"
    is_known = any(is_signal(handler, version, event) for version in handler.versions)
    return "signal" if is_known else "answer"


def check_posted_cancellation(
    system: System, event: Event[Any], record: Record | None
) -> Violation | None:
    """Return why an event of the verb "cancel" cancels no workflow of its handler, or None.

    *record* is the stored record of the workflow, or None.
    """
    handler = system.handler_at(event.to)
    assert is_workflow(handler)
    subject = _admit_own_subject(handler, event)
    if not isinstance(subject, Subject):
        return subject
    admitted = admit_turn(handler, subject.orchestrator.version, event)
    if not isinstance(admitted, Admitted):
        return admitted
    by = admitted.event.data.by
    if record is None or by in (None, record.parent):
        return None
    # Not the parent's name: it is no business of the caller.
    issue = Issue("data.by", "the parent of the workflow, or nothing", repr(by))
    return ContractViolation(f"{describe_event(event)} is not from the parent", issue)


def check_outside(
    system: System, event: Event[Any], record: Record | None, others: Container[str] = ()
) -> Violation | None:
    """Return why an event from outside may not enter, or None.

    *record* is the stored record of the workflow that `record_subject` names, or None. *others* are
    the addresses that other systems on the same backend serve. An event that passes may still come
    too late: only a step finds that out.
    """
    handler = admit(system, event)
    if is_workflow(handler):
        refused = _refuse_turn(handler, event, record)
    elif isinstance(handler, EventHandler):
        admitted = admit_event(handler, event)
        refused = None if isinstance(admitted, Admitted) else admitted
    else:
        return handler
    if refused is not None:
        return refused
    if event_verb(system, event) == "answer" or _was_sent_out(event, record):
        return None
    return _refuse_claims(system, event, others)


def check_payload(system: System, event: Event[Any], record: Record | None) -> Violation | None:
    """Return why an event fits no contract of its receiver, or of its sender where it leaves.

    *record*: the stored record of the workflow at the event's subject, or None. Nothing else is
    asked: an operator sends it in the place of one that was inside.
    """
    handler = system.handler_at(event.to)
    if handler is None:
        return check_emitted(system, event)
    if isinstance(handler, EventHandler):
        admitted = admit_event(handler, event)
        return None if isinstance(admitted, Admitted) else admitted
    subject = _admit_own_subject(handler, event)
    if not isinstance(subject, Subject):
        return subject
    version = _version_for(handler, subject, event, record)
    turn = admit_version(handler, version) or admit_turn(handler, version, event)
    return None if isinstance(turn, Admitted) else turn


def requesting_subject(event: Event[Any]) -> str:
    """Return the subject of the workflow that waits for the answer to *event*, if one does."""
    return _claimed_subject(event)


def find_id_conflict(record: Record, event: Event[Any]) -> ExecutionViolation | None:
    """Return a violation if another event with the id of *event* has begun the workflow.

    None for the same event once more, with any time and trace, and for the record of an earlier
    version, which has no digest. Two begins with one chosen workflow id may have different ids.
    None too for a workflow that was revived after its first turn failed: it has not begun.
    """
    if not record.init:
        return None
    if has_chosen_id(event):
        is_other = compare_begin(record, event) == "other"
        return refuse_begin(record, event, workflow_id_of(event.subject)) if is_other else None
    if event.id != record.init or record.init_digest in ("", content_digest(event)):
        return None
    return refuse_reused_id(event)


def refuse_reused_id(event: Event[Any]) -> ExecutionViolation:
    """Return the violation of an event whose handler has consumed another one with its id."""
    expected = "a new id, or the content of the event that was consumed"
    issue = Issue("id", expected, f"{event.id!r} from {event.source!r}")
    return ExecutionViolation("another event with this id was consumed", issue)


def is_from_handler(system: System, event: Event[Any]) -> bool:
    """Return whether *event* names a handler of *system*, or any workflow, as its source.

    A handler that is repeated after a crash may emit other content by the same id.
    """
    is_own = system.handler_at(event.source) is not None or system.is_remote(event.source)
    return is_own or is_orchestrator_type(event.source)


def record_subject(system: System, event: Event[Any]) -> str | None:
    """Return the subject of the record that `check_outside` needs, None where it needs none."""
    handler = system.handler_at(event.to)
    if is_workflow(handler) and event.type != handler.source:
        # A reply is compared with its request. A signal may be of another version by now.
        return event.subject
    return _claimed_subject(event) if claimed_workflows(event) else None


def claimed_workflows(event: Event[Any]) -> tuple[str, ...]:
    """Return the addresses of workflows in whose name *event* speaks, or that get its answer."""
    names = _claims(event).values()
    return tuple(name for name in names if is_orchestrator_type(name))


def _refuse_turn(
    handler: WorkflowHandler, event: Event[Any], record: Record | None
) -> Violation | None:
    subject = _admit_own_subject(handler, event)
    if not isinstance(subject, Subject):
        return subject
    if event.type == timer_event_type(handler.source):
        issue = Issue("type", "no timer: only the runtime sends them", repr(event.type))
        return ContractViolation(f"{describe_event(event)} comes from outside", issue)
    if event.type == cancel_type(handler.source):
        issue = Issue("type", "no cancellation: use `Client.cancel`", repr(event.type))
        return ContractViolation(f"{describe_event(event)} comes from outside", issue)
    if event.type == fork_type(handler.source):
        issue = Issue("type", "no fork: use `Client.fork`", repr(event.type))
        return ContractViolation(f"{describe_event(event)} comes from outside", issue)
    begins = event.type == handler.source
    version = _version_for(handler, subject, event, record)
    admitted = admit_version(handler, version) or admit_turn(handler, version, event)
    if not isinstance(admitted, Admitted):
        return admitted
    if begins or is_signal(handler, version, event):
        return None
    return _refuse_answer(event, record)


def _version_for(
    handler: WorkflowHandler, subject: Subject, event: Event[Any], record: Record | None
) -> str:
    """Return the version that reads *event*: that of the run, or of the subject that it begins."""
    started = record is not None and record.init and event.type != handler.source
    return record.version if record and started else subject.orchestrator.version


def _admit_own_subject(handler: WorkflowHandler, event: Event[Any]) -> Subject | Violation:
    subject = admit_subject(event)
    if isinstance(subject, Subject) and subject.orchestrator.name != handler.source:
        issue = Issue("subject.orchestrator.name", handler.source, repr(subject.orchestrator.name))
        return ExecutionViolation(f"{describe_event(event)} is for another workflow", issue)
    return subject


def _refuse_answer(event: Event[Any], record: Record | None) -> Violation | None:
    """Return why an answer from outside may not enter: it is for no open request of a domain."""
    sent = None
    if record is not None and event.parentid is not None:
        sent = record.pending_requests.get(event.parentid)
    if sent is None:
        issue = Issue("parentid", "the id of an open request", repr(event.parentid))
        return ExecutionViolation(f"{describe_event(event)} answers no open request", issue)
    if sent.domain is None:
        issue = Issue("parentid", "a request that left by a domain", repr(event.parentid))
        return ContractViolation(
            f"{describe_event(event)} answers a request that did not leave", issue
        )
    return refuse_reply(sent, event)


def _was_sent_out(event: Event[Any], record: Record | None) -> bool:
    """Return whether *event* is an open request of *record* that left by a domain.

    A listener may send it back into the system, to its own handler.
    """
    sent = None if record is None else record.pending_requests.get(event.id)
    return (
        sent is not None
        and sent.domain is not None
        and (sent.to, sent.type) == (event.to, event.type)
    )


def _refuse_claims(
    system: System, event: Event[Any], others: Container[str]
) -> ContractViolation | None:
    for field, name in _claims(event).items():
        is_own = is_workflow(system.handler_at(name)) or system.is_elsewhere(name)
        if is_own or name in others:
            issue = Issue(field, "an address outside of this system", repr(name))
            return ContractViolation(f"{describe_event(event)} comes from outside", issue)
    return None


def _claims(event: Event[Any]) -> dict[str, str]:
    """Return the addresses in whose name *event* speaks, or that get its answer, by field."""
    claims = {"source": event.source}
    if event.redirectto is not None:
        claims["redirectto"] = event.redirectto
    if not is_orchestrator_type(event.type):
        return claims
    # It begins a workflow.
    subject, parent = _parse(event.subject), _parse(event.raw.get(PARENT_SUBJECT))
    if subject is not None:
        claims["subject.execution.initiator"] = subject.execution.initiator
        claims["subject.meta.redirectto"] = subject.answers_to
    if parent is not None:
        claims[f"data.{PARENT_SUBJECT}"] = parent.orchestrator.name
    return claims


def _claimed_subject(event: Event[Any]) -> str:
    parent = event.raw.get(PARENT_SUBJECT)
    return parent if isinstance(parent, str) else event.subject


def _parse(text: object) -> Subject | None:
    if not isinstance(text, str):
        return None
    try:
        return Subject.parse(text)
    except Violated:
        return None
