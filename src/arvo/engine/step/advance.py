"""Advance: run one turn of a workflow of any kind, or cancel it before its first turn."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from attrs import evolve

from arvo.core.commit import Commit
from arvo.core.events.digest import content_digest
from arvo.core.events.envelope import time_text
from arvo.core.events.event import Event
from arvo.core.events.protocol import Cancellation, Fork
from arvo.core.events.subject import Subject
from arvo.core.fork import ForkContent
from arvo.core.record import Record
from arvo.core.replies import Replies
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation, Violated, Violation
from arvo.engine.step.admit import (
    Admitted,
    admit_emitted,
    admit_subject,
    admit_turn,
    admit_version,
)
from arvo.engine.step.build_commit import build_turn_commit, initial_record
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.system.handler import WorkflowHandler
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform
from arvo.handlers.flow.advance import advance_flow
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.invoke import invoke, normalise
from arvo.handlers.machine.advance import advance_machine
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Collected, Resumable, Turn, make_turn
from arvo.handlers.turn_input import TurnInput, TurnOutcome


def advance(
    handler: WorkflowHandler, turn: TurnInput, filed: Replies
) -> TurnOutcome | Perform[Any] | Violation:
    """Run one turn of a workflow, in the version that *turn* names.

    *filed*: the replies of the record, with the event of this turn if it is one.
    """
    match handler:
        case Resumable():
            return _advance_resumable(handler, turn, filed)
        case FlowHandler():
            return advance_flow(handler, turn)
        case Orchestrator():
            return advance_machine(handler.machines[turn.version], turn)


def _advance_resumable(
    handler: Resumable[Any], turn: TurnInput, filed: Replies
) -> TurnOutcome | Perform[Any] | Violation:
    argument = _make_argument(handler, turn, filed)
    if not isinstance(argument, Turn):
        return argument
    function = handler.functions[turn.version]
    result = invoke(function, argument, turn.performed, stack=turn.stack)
    return TurnOutcome(normalise(result)) if isinstance(result, tuple) else result


def _make_argument(
    handler: Resumable[Any], turn: TurnInput, filed: Replies
) -> Turn[Any] | Violation:
    event, record = turn.event, turn.record
    try:
        state = None if record is None else handler.query(record)
    except Violated as violated:
        return violated.violation
    argument: Turn[Any] = make_turn(
        event,
        state,
        turn.now,
        Collected(partial(_collect, handler, turn, filed)),
        record,
        event if event.type == handler.source else None,
        event if event.type in handler.services.by_answer else None,
    )
    return argument


def _collect(
    handler: Resumable[Any], turn: TurnInput, filed: Replies
) -> Mapping[str, tuple[Event[Any], ...]]:
    pending = () if turn.record is None else turn.record.pending_requests
    return filed.grouped(handler, partial(_read_reply, handler, turn), pending)


def _read_reply(handler: Resumable[Any], turn: TurnInput, reply: Event[Any]) -> Event[Any]:
    if reply is turn.event:
        return reply
    admitted = admit_turn(handler, turn.version, reply)
    # The reply was admitted when it came. A contract that changed since may refuse it now; then
    # the function gets it as it is stored.
    return admitted.event if isinstance(admitted, Admitted) else reply


def cancel_first_turn(
    handler: WorkflowHandler,
    cancellation: Event[Any],
    stored: Record | None,
    now: datetime,
    *,
    init: str,
    parent: str | None,
) -> Commit | Violation:
    """Build the commit that consumes *cancellation* for a workflow that has not started.

    No code of the workflow runs, because there is nothing to undo: the new record is cancelled, and
    the initiator receives the system error `Cancelled`. *init*: the id of the event that would have
    started the workflow, which is a duplicate from then on. *parent*: the subject of the parent
    workflow. *stored*: the record of a workflow that was revived after its first turn failed.
    """
    subject = admit_subject(cancellation)
    if not isinstance(subject, Subject):
        return subject
    version = subject.orchestrator.version
    admitted = admit_version(handler, version) or admit_turn(handler, version, cancellation)
    if not isinstance(admitted, Admitted):
        return admitted
    turn = TurnInput(
        event=admitted.event,
        subject=subject,
        version=version,
        record=None,
        stored=stored,
        now=now,
    )
    record = initial_record(handler, turn, init, parent)
    refused = check_cancellation(cancellation, admitted.event.data, record)
    if refused is not None:
        return refused
    started = evolve(turn, record=record)
    return build_turn_commit(handler, started, record.replies, TurnOutcome(commands=()))


def fork_first_turn(system: System, event: Event[Fork], now: datetime) -> Commit | Violation:
    """Build the commit that begins a workflow from a turn of another one.

    No code of the workflow runs: the record is the one in *event*, its requests are sent, and its
    timers are set, those at once that are due already.
    """
    try:
        content = ForkContent.unpack(event.data.content)
    except Violated as violated:
        return violated.violation
    record = content.record
    if (record.subject, record.handler) != (event.subject, event.to):
        issue = Issue("data.content", f"a record of {event.subject!r}", repr(record.subject))
        return ContractViolation(f"the fork {event.id!r} is of another workflow", issue)
    requests = tuple(
        admit_emitted(
            system,
            evolve(
                request,
                time=time_text(now),
                parentid=event.id,
                traceparent=event.traceparent,
                tracestate=event.tracestate,
            ),
        )
        for request in content.requests
    )
    return Commit(
        handler=record.handler,
        event=event,
        now=now,
        record=evolve(
            record,
            revision=1,
            init=event.id,
            init_digest=content_digest(event),
            consumed=event.id,
            produced=tuple(request.id for request in requests),
        ),
        events=requests,
        timers=tuple(pending_timers(system, record)),
    )


def check_cancellation(
    event: Event[Any], cancellation: Cancellation, record: Record
) -> Violation | None:
    """Refuse a cancellation in the name of a workflow that is not the parent."""
    if cancellation.by in (None, record.parent):
        return None
    issue = Issue("data.by", f"{record.parent!r} (the parent of the workflow)", cancellation.by)
    return ContractViolation(f"the cancellation {event.id!r} is not from the parent", issue)
