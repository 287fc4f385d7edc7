"""Build commit: turn the commands of a handler into a commit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from arvo.core.command import (
    Cancel,
    Command,
    Compensate,
    Complete,
    Emit,
    Fail,
    Log,
    Persist,
    Schedule,
    Violate,
)
from arvo.core.commit import Commit, Outcome
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.digest import content_digest
from arvo.core.events.event import Event
from arvo.core.events.protocol import Cancellation
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.record import Record, Status
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violation
from arvo.engine.step.admit import Admitted
from arvo.engine.step.apply_commands import TurnEffects, apply_commands
from arvo.engine.step.compensation import event_factory_for
from arvo.engine.step.draft import Draft, answer_draft, fault_draft
from arvo.engine.step.event_factory import EventFactory, make_events
from arvo.engine.step.pending import (
    Pending,
    PendingRequests,
    next_answered,
    next_children,
    next_requests,
    next_timers,
)
from arvo.engine.step.termination import termination_drafts
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import normalise
from arvo.handlers.turn_input import TurnInput, TurnOutcome

# A workflow that waits for more replies than this has lost track of them, and each turn copies the
# list.
PENDING_REQUESTS_MAX: Final = 10_000

_OUTCOMES: Final[Mapping[Status, Outcome]] = {
    "active": "handled",
    "done": "handled",
    "failed": "failed",
    "cancelled": "cancelled",
}


def build_event_handler_commit(
    handler: EventHandler[Any], admitted: Admitted, commands: tuple[Command, ...], now: datetime
) -> Commit | Violation:
    """Build the commit of an event handler from its commands."""
    event, contract = admitted.event, admitted.contract
    drafts: list[Draft] = []
    logs: list[Log] = []
    outcome: Outcome = "handled"
    for command in normalise(commands):
        match command:
            case Emit():
                draft = answer_draft(handler, admitted, command)
                if not isinstance(draft, Draft):
                    return draft
                drafts.append(draft)
            case Fail():
                outcome = "failed"
                drafts.append(_system_error_draft(handler, admitted, command))
            case Violate(violation=violation):
                return violation
            case Log():
                logs.append(command)
            case Persist() | Complete() | Schedule() | Cancel() | Compensate():
                return _reject_workflow_command(handler, command)
    factory = EventFactory(
        handler.source, event, contract.domain, None, handler.executionunits, now
    )
    events = make_events(factory, drafts)
    if not isinstance(events, tuple):
        return events
    return Commit(
        handler=handler.source,
        event=event,
        outcome=outcome,
        events=events,
        logs=tuple(logs),
    )


def build_turn_commit(
    handler: WorkflowHandler, turn: TurnInput, filed: PendingRequests, outcome: TurnOutcome
) -> Commit | Violation:
    """Build the commit of one turn of a workflow, with the workflow's new record.

    *filed*: the pending requests of the record, with the event of this turn filed as a reply.
    """
    current = turn.record or _begun_record(handler, turn)
    effects = apply_commands(handler, turn, current, outcome.commands)
    if not isinstance(effects, TurnEffects):
        return effects
    if effects.status == "active":
        cancelled = isinstance(turn.event.data, Cancellation)
        effects.status = "done" if outcome.ended else "cancelled" if cancelled else "active"
    last_drafts = termination_drafts(handler, turn, current, effects, outcome)
    if not isinstance(last_drafts, tuple):
        return last_drafts
    factory = event_factory_for(handler, turn, current)
    events = make_events(factory, (*effects.drafts, *last_drafts))
    if not isinstance(events, tuple):
        return events
    # A failed workflow keeps the requests of its last good turn, so that an operator can revive it.
    failed = effects.status == "failed"
    requests = (
        current.pending_requests if failed else next_requests(filed, current, events, outcome)
    )
    if len(requests) > PENDING_REQUESTS_MAX:
        expected = f"at most {PENDING_REQUESTS_MAX} requests"
        issue = Issue("pending_requests", expected, f"{len(requests)}")
        return ExecutionViolation(f"{handler.source} waits for too many replies", issue)
    timers, new_timers = next_timers(handler, turn, current, effects, factory)
    answered = (
        next_answered(handler, current, filed, requests) if effects.status == "active" else EMPTY
    )
    pending = Pending(requests, answered, timers, new_timers)
    record = _next_record(turn, current, effects, outcome, events, pending)
    return _commit(turn, current, effects, record, events, pending)


def _begun_record(handler: WorkflowHandler, turn: TurnInput) -> Record:
    event = turn.event
    record = initial_record(handler, turn, event.id, event.raw.get(PARENT_SUBJECT))
    return evolve(record, init_digest=content_digest(event))


def initial_record(
    handler: WorkflowHandler, turn: TurnInput, init: str, parent: str | None
) -> Record:
    """Return the record that a workflow has before its first turn.

    *init*: the id of the event that starts it. *parent*: the subject of its parent.
    """
    stored = turn.stored
    return Record(
        subject=turn.event.subject,
        handler=handler.source,
        version=turn.version,
        revision=0 if stored is None else stored.revision,
        status="active",
        init=init,
        parent=parent,
        consumed=init,
        revivals=0 if stored is None else stored.revivals,
    )


def _next_record(
    turn: TurnInput,
    current: Record,
    effects: TurnEffects,
    outcome: TurnOutcome,
    events: tuple[Event[Any], ...],
    pending: Pending,
) -> Record:
    state, journal = current.state, current.journal
    if effects.status != "failed":
        state = effects.state if outcome.state is None else outcome.state
        journal = current.journal if outcome.journal is None else outcome.journal
    return evolve(
        current,
        revision=current.revision + 1,
        state=state,
        journal=journal,
        status=effects.status,
        failure=effects.failure,
        children=next_children(current, pending.requests, events),
        pending_requests=pending.requests,
        answered_requests=pending.answered,
        timers=pending.timers,
        # A workflow that failed or was cancelled has sent its compensations; one that completed
        # will never need them.
        compensations=effects.compensations if effects.status == "active" else (),
        consumed=turn.event.id,
        produced=tuple(event.id for event in events),
    )


def _commit(
    turn: TurnInput,
    current: Record,
    effects: TurnEffects,
    record: Record,
    events: tuple[Event[Any], ...],
    pending: Pending,
) -> Commit:
    standing: set[str] = set()
    if record.status == "active":
        standing = {timer.id for timer in record.timers.values()}
    # After continue-as-new the journal starts with another entry.
    first = next(iter(current.journal), None)
    appended = first is not None and first is next(iter(record.journal), None)
    return Commit(
        handler=turn.subject.orchestrator.name,
        event=turn.event,
        outcome=_OUTCOMES[record.status],
        journal_offset=len(current.journal) if appended else 0,
        expected=current.revision,
        now=turn.now,
        record=record,
        events=events,
        timers=pending.new_timers,
        cleared_timers=tuple(
            timer.id
            for timer in current.timers.values()
            if timer.id not in standing and timer.id != turn.event.id
        ),
        logs=tuple(effects.logs),
    )


def _system_error_draft(handler: EventHandler[Any], admitted: Admitted, fail: Fail) -> Draft:
    event = admitted.event
    return fault_draft(
        admitted.contract,
        fail,
        to=event.source,
        subject=event.subject,
        parentid=event.id,
        domains=handler.domains.system_error,
    )


def _reject_workflow_command(
    handler: EventHandler[Any], command: Persist | Complete | Schedule | Cancel | Compensate
) -> Violation:
    expected = "Emit, Fail, Violate or Log: only a workflow can return the other commands"
    issue = Issue("return", expected, type(command).__name__)
    return ExecutionViolation(f"{handler.source} returns a command of workflows", issue)
