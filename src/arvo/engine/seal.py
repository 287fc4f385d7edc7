"""Seal: turn what a handler wants into a commit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, final

from attrs import evolve, frozen

from arvo.core.command import Command, Complete, Emit, Fail, Log, Persist, Violate
from arvo.core.commit import Commit
from arvo.core.event import Event
from arvo.core.fault import SystemFault
from arvo.core.frozen import FrozenDict
from arvo.core.issue import Issue, Issues
from arvo.core.json import Json, freeze
from arvo.core.record import Record, Status
from arvo.core.subject import Subject
from arvo.core.versioned import PARENT_SUBJECT
from arvo.core.violation import ExecutionViolation, Violation
from arvo.engine.admit import Admitted
from arvo.engine.draft import (
    Draft,
    answer_draft,
    completion_draft,
    fault_draft,
    request_draft,
    told,
)
from arvo.engine.press import Press, pressed
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.reply import settled
from arvo.handlers.resumable import Resumable

# A workflow that waits for more replies than this has lost track of them, and each turn copies the
# list.
AWAITED_MAX: Final = 10_000

Awaited: TypeAlias = Mapping[str, tuple[Event[Any], ...]]


def seal_answer(
    handler: EventHandler[Any], admitted: Admitted, commands: tuple[Command, ...], now: datetime
) -> Commit | Violation:
    """Seal what a handler of single events answers (reference F093-F098, F101-F105)."""
    event, contract = admitted.event, admitted.contract
    drafts: list[Draft] = []
    logs: list[Log] = []
    failed = False
    for command in settled(commands):
        match command:
            case Emit():
                drafted = answer_draft(handler, admitted, command)
                if not isinstance(drafted, Draft):
                    return drafted
                drafts.append(drafted)
            case Fail():
                failed = True
                drafts.append(_answer_fault(handler, admitted, command))
            case Violate(violation=violation):
                return violation
            case Log():
                logs.append(command)
            case Persist() | Complete():
                return _not_for_handlers(handler, command)
    press = Press(handler.source, event, contract.domain, None, handler.executionunits, now)
    events = pressed(press, drafts)
    if not isinstance(events, tuple):
        return events
    return Commit(
        handler=handler.source,
        event=event,
        outcome="failed" if failed else "handled",
        events=events,
        logs=tuple(logs),
    )


def seal_turn(
    handler: Resumable[Any],
    admitted: Admitted,
    subject: Subject,
    record: Record | None,
    awaited: Awaited,
    commands: tuple[Command, ...],
    now: datetime,
) -> Commit | Violation:
    """Seal what a workflow wants after one turn, and what it remembers (F126-F131, F161-F168).

    *awaited* is what it waited for, with the event filed where it belongs.
    """
    event = admitted.event
    current = record or _begun(handler, event, subject)
    wanted = _wanted(handler, event, subject, current, settled(commands))
    if not isinstance(wanted, _Wanted):
        return wanted
    domain = handler.contract.domain
    press = Press(handler.source, event, domain, current.parent, handler.executionunits, now)
    events = pressed(press, wanted.drafts)
    if not isinstance(events, tuple):
        return events
    failed = wanted.status == "failed"
    # What it waited for stays as its last good turn left it, for an operator who revives it.
    awaits = current.awaited if failed else _awaiting(awaited, events)
    if len(awaits) > AWAITED_MAX:
        issue = Issue("awaited", f"at most {AWAITED_MAX} requests", f"{len(awaits)}")
        return ExecutionViolation(f"{handler.source} waits for too many replies", issue)
    return Commit(
        handler=handler.source,
        event=event,
        outcome="failed" if failed else "handled",
        expected=0 if record is None else record.revision,
        record=evolve(
            current,
            revision=current.revision + 1,
            state=wanted.state,
            status=wanted.status,
            failure=wanted.failure,
            awaited=awaits,
            consumed=event.id,
            produced=tuple(each.id for each in events),
        ),
        events=events,
        logs=wanted.logs,
    )


@final
@frozen
class _Wanted:
    """What a turn's commands come to."""

    drafts: tuple[Draft, ...]
    logs: tuple[Log, ...]
    state: Json
    status: Status
    failure: SystemFault | None


def _wanted(
    handler: Resumable[Any],
    event: Event[Any],
    subject: Subject,
    current: Record,
    commands: tuple[Command, ...],
) -> _Wanted | Violation:
    drafts: list[Draft] = []
    logs: list[Log] = []
    state, status, failure = current.state, current.status, None
    for command in commands:
        match command:
            case Emit():
                drafted = request_draft(handler, event, command)
                if not isinstance(drafted, Draft):
                    return drafted
                drafts.append(drafted)
            case Complete():
                if status == "done":
                    issue = Issue("return", "one Complete", "two")
                    return ExecutionViolation(f"{handler.source} completes twice", issue)
                status = "done"
                drafts.append(completion_draft(handler, event, subject, current, command))
            case Persist():
                remembered = _remembered(handler, command.state)
                if isinstance(remembered, Issues):
                    return ExecutionViolation(f"{handler.source} cannot remember this", remembered)
                state = remembered
            case Fail():
                status, failure = "failed", told(command)
                drafts.append(_turn_fault(handler, event, subject, current, command))
            case Violate(violation=violation):
                return violation
            case Log():
                logs.append(command)
    return _Wanted(tuple(drafts), tuple(logs), state, status, failure)


def _answer_fault(handler: EventHandler[Any], admitted: Admitted, fail: Fail) -> Draft:
    event = admitted.event
    return fault_draft(
        admitted.contract,
        fail,
        to=event.source,
        subject=event.subject,
        parentid=event.id,
        domains=handler.domains.system_error,
    )


def _turn_fault(
    handler: Resumable[Any], event: Event[Any], subject: Subject, current: Record, fail: Fail
) -> Draft:
    """Tell whoever began the workflow, on the subject that they know (F102-F106)."""
    return fault_draft(
        handler.contract.version("latest"),
        fail,
        to=subject.execution.initiator,
        subject=current.parent or event.subject,
        parentid=current.init,
        domains=handler.domains.system_error,
    )


def _begun(handler: Resumable[Any], event: Event[Any], subject: Subject) -> Record:
    """The record of a workflow before its first turn."""
    return Record(
        subject=event.subject,
        handler=handler.source,
        version=subject.orchestrator.version,
        revision=0,
        status="active",
        init=event.id,
        parent=event.raw.get(PARENT_SUBJECT),
        consumed=event.id,
    )


def _awaiting(awaited: Awaited, events: tuple[Event[Any], ...]) -> Awaited:
    """Say what is waited for after a turn (F165).

    The reference starts anew whenever a turn emits, and so loses the replies that are still to come
    (B07). Here a request stays until it is answered.
    """
    if not events:
        return awaited
    unanswered = {id_: replies for id_, replies in awaited.items() if not replies}
    return FrozenDict({**unanswered, **{event.id: () for event in events}})


def _remembered(handler: Resumable[Any], state: object) -> Json | Issues:
    if state is None:
        return None
    json = state if handler.state is None else handler.state.write(state, path="state")
    return json if isinstance(json, Issues) else freeze(json, "state")


def _not_for_handlers(handler: EventHandler[Any], command: Persist | Complete) -> Violation:
    expected = "Emit, Fail, Violate or Log: only a workflow remembers and completes"
    issue = Issue("return", expected, type(command).__name__)
    return ExecutionViolation(f"{handler.source} returns what it cannot do", issue)
