"""Build commit: turn the commands of a handler into a commit."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from arvo.core.begin import ALREADY_STARTED
from arvo.core.command import (
    Cancel,
    CancelChild,
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
from arvo.core.commit import Commit, Outcome, make_commit
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.digest import content_digest
from arvo.core.events.event import Event
from arvo.core.events.protocol import Cancellation
from arvo.core.labels import label_lines
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import Record, Status, evolve_record, make_record
from arvo.core.replies import NO_REPLIES, Replies
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violation
from arvo.engine.step.admit import Admitted
from arvo.engine.step.apply_commands import TurnEffects, apply_commands
from arvo.engine.step.compensation import event_factory_for
from arvo.engine.step.draft import Draft, answer_draft, fault_draft, make_fault
from arvo.engine.step.event_factory import EventFactory, make_events
from arvo.engine.step.pending import (
    PENDING_REQUESTS_MAX,
    Pending,
    next_answered,
    next_children,
    next_requests,
    next_timers,
)
from arvo.engine.step.termination import termination_drafts
from arvo.engine.system.handler import WorkflowHandler
from arvo.engine.system.labels import labels_of
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import normalise
from arvo.handlers.turn_input import TurnInput, TurnOutcome

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
    unhandled: str | None = None
    for command in normalise(commands):
        match command:
            case Emit():
                draft = answer_draft(handler, admitted, command)
                if not isinstance(draft, Draft):
                    return draft
                drafts.append(draft)
            case Fail():
                outcome, unhandled = "failed", _describe_unhandled(command)
                drafts.append(_system_error_draft(handler, admitted, command))
            case Violate(violation=violation):
                return violation
            case Log():
                logs.append(command)
            case Persist() | Complete() | Schedule() | Cancel() | CancelChild() | Compensate():
                return _reject_workflow_command(handler, command)
    factory = EventFactory(
        handler.source, event, contract.domain, None, handler.executionunits, now
    )
    events = make_events(factory, drafts)
    if not isinstance(events, tuple):
        return events
    return make_commit(
        handler=handler.source,
        event=event,
        outcome=outcome,
        events=events,
        logs=tuple(logs),
        unhandled=unhandled,
    )


def build_turn_commit(
    handler: WorkflowHandler, turn: TurnInput, filed: Replies, outcome: TurnOutcome
) -> Commit | Violation:
    """Build the commit of one turn of a workflow, with the workflow's new record.

    *filed*: the replies of the record, with the event of this turn if it is one.
    """
    current = turn.record or _begun_record(handler, turn)
    effects = apply_commands(handler, turn, current, outcome.commands)
    if not isinstance(effects, TurnEffects):
        return effects
    if effects.cancelled_children:
        abandoned = (*outcome.abandoned_requests, *effects.cancelled_children)
        outcome = evolve(outcome, abandoned_requests=abandoned)
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
    answers, services = _signal_answers(handler, turn.version), handler.services_of(turn.version)
    requests = (
        current.pending_requests
        if failed
        else next_requests(filed, current, events, outcome, services, answers)
    )
    if len(requests) > PENDING_REQUESTS_MAX:
        expected = f"at most {PENDING_REQUESTS_MAX} requests"
        issue = Issue("pending_requests", expected, f"{len(requests)}")
        return ExecutionViolation(f"{handler.source} waits for too many replies", issue)
    timers, new_timers = next_timers(handler, turn, current, effects, factory)
    # Those of a failed workflow stay as well: a service may reply once more after it is revived.
    answered = current.answered_requests if failed else EMPTY
    if effects.status == "active":
        answered = next_answered(handler, current, filed, requests)
    # All that have a reply are gone as soon as one request is gone.
    replies = NO_REPLIES if requests is not current.pending_requests else filed
    replies = current.replies if failed else replies
    children = next_children(handler, current, requests, replies, events)
    pending = Pending(requests, replies, answered, children, timers, new_timers)
    record = _next_record(turn, current, effects, outcome, events, pending)
    if handler.labels is not None and not failed:
        labels = labels_of(handler, record)
        if not isinstance(labels, FrozenDict):
            return labels
        # As text too: for Python, a label that changes from 1 to True stays the same.
        is_same = labels == record.labels and label_lines(labels) == label_lines(record.labels)
        record = record if is_same else evolve(record, labels=labels)
    if answers:
        effects.answers = tuple([event.id for event in events if event.type in answers])
    return _commit(turn, current, effects, record, events, pending)


def build_refused_begin(
    handler: WorkflowHandler,
    event: Event[Any],
    expected: int,
    conflict: Violation,
    now: datetime,
) -> Commit | Violation:
    """Build the commit of a child's begin that conflicts with another run.

    *expected*: the revision of the record at the event's subject, 0 if there is none.
    The run stays as it is, and the workflow that wanted the child gets a system error.
    """
    parent = event.raw.get(PARENT_SUBJECT)
    draft = fault_draft(
        handler.contract.version("latest"),
        Fail(str(conflict), name=ALREADY_STARTED),
        to=event.source,
        subject=parent if isinstance(parent, str) else event.subject,
        parentid=event.id,
        domains=handler.domains.system_error,
    )
    factory = EventFactory(
        handler.source, event, handler.contract.domain, parent, handler.executionunits, now
    )
    events = make_events(factory, [draft])
    if not isinstance(events, tuple):
        return events
    return make_commit(
        handler=handler.source,
        event=event,
        outcome="failed",
        expected=expected,
        events=events,
    )


def _signal_answers(handler: WorkflowHandler, version: str) -> AbstractSet[str]:
    """Return the types of the events by which a workflow answers its signals."""
    answers = handler.signals_of(version).by_answer
    return answers.keys() - handler.services_of(version).by_type.keys() if answers else frozenset()


def _begun_record(handler: WorkflowHandler, turn: TurnInput) -> Record:
    event = turn.event
    parent = event.raw.get(PARENT_SUBJECT)
    return initial_record(handler, turn, event.id, parent, content_digest(event))


def initial_record(
    handler: WorkflowHandler, turn: TurnInput, init: str, parent: str | None, digest: str = ""
) -> Record:
    """Return the record that a workflow has before its first turn.

    *init*: the id of the event that starts it, *digest* that of its content. *parent*: the subject
    of its parent.
    """
    stored = turn.stored
    return make_record(
        subject=turn.event.subject,
        handler=handler.source,
        version=turn.version,
        revision=0 if stored is None else stored.revision,
        status="active",
        init=init,
        init_digest=digest,
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
    return evolve_record(
        current,
        current.revision + 1,
        state,
        journal,
        effects.status,
        None if effects.fail is None else make_fault(effects.fail),
        pending.children,
        pending.requests,
        pending.replies,
        pending.answered,
        pending.timers,
        # A workflow that failed or was cancelled has sent its compensations; one that completed
        # will never need them.
        effects.compensations if effects.status == "active" else (),
        turn.event.id,
        tuple([event.id for event in events]),
    )


def _commit(
    turn: TurnInput,
    current: Record,
    effects: TurnEffects,
    record: Record,
    events: tuple[Event[Any], ...],
    pending: Pending,
) -> Commit:
    return make_commit(
        handler=turn.subject.orchestrator.name,
        event=turn.event,
        outcome=_OUTCOMES[record.status],
        expected=current.revision,
        now=turn.now,
        record=record,
        # A workflow that starts anew after a revival does not follow its stored record.
        before=turn.record if turn.record is turn.stored else None,
        events=events,
        answers=effects.answers,
        timers=pending.new_timers,
        cleared_timers=_cleared_timers(turn, current, record) if current.timers else (),
        logs=tuple(effects.logs),
        unhandled=None if effects.fail is None else _describe_unhandled(effects.fail),
    )


def _describe_unhandled(fail: Fail) -> str | None:
    """Return the exception that escaped a handler, as text; None if the handler chose to fail."""
    return f"{fail.name}: {fail.reason}" if fail.unhandled else None


def _cleared_timers(turn: TurnInput, current: Record, record: Record) -> tuple[str, ...]:
    pending = record.timers.values() if record.status == "active" else ()
    standing = {turn.event.id, *(timer.id for timer in pending)}
    return tuple(timer.id for timer in current.timers.values() if timer.id not in standing)


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
    handler: EventHandler[Any],
    command: Persist | Complete | Schedule | Cancel | CancelChild | Compensate,
) -> Violation:
    expected = "Emit, Fail, Violate or Log: only a workflow can return the other commands"
    issue = Issue("return", expected, type(command).__name__)
    return ExecutionViolation(f"{handler.source} returns a command of workflows", issue)
