"""Seal: turn what a handler wants into a commit."""

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
from arvo.core.commit import Commit, Outcome, PendingTimer
from arvo.core.contracts.versioned import PARENT_SUBJECT
from arvo.core.events.cancellation import Cancellation
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.events.protocol import Timer, TimerFired
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import ChildRun, Record, Status
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violation
from arvo.engine.step.admit import Admitted
from arvo.engine.step.advance import Awaited
from arvo.engine.step.apply_commands import Wanted, wanted
from arvo.engine.step.draft import Draft, answer_draft, fault_draft
from arvo.engine.step.event_factory import Press, pressed
from arvo.engine.step.termination import ending
from arvo.engine.step.undo import press_of
from arvo.engine.system.system import WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import settled
from arvo.handlers.turn_input import TurnInput, TurnOutcome

# A workflow that waits for more replies than this has lost track of them, and each turn copies the
# list.
AWAITED_MAX: Final = 10_000
# Children that are done are kept for whoever looks at the tree; a workflow that begins one a day
# for ever should not grow with each.
CHILDREN_KEPT_MAX: Final = 1_000


def seal_answer(
    handler: EventHandler[Any], admitted: Admitted, commands: tuple[Command, ...], now: datetime
) -> Commit | Violation:
    """Seal what a handler of single events answers (reference F093-F098, F101-F105)."""
    event, contract = admitted.event, admitted.contract
    drafts: list[Draft] = []
    logs: list[Log] = []
    outcome: Outcome = "handled"
    for command in settled(commands):
        match command:
            case Emit():
                drafted = answer_draft(handler, admitted, command)
                if not isinstance(drafted, Draft):
                    return drafted
                drafts.append(drafted)
            case Fail():
                outcome = "failed"
                drafts.append(_answer_fault(handler, admitted, command))
            case Violate(violation=violation):
                return violation
            case Log():
                logs.append(command)
            case Persist() | Complete() | Schedule() | Cancel() | Compensate():
                return _not_for_handlers(handler, command)
    press = Press(handler.source, event, contract.domain, None, handler.executionunits, now)
    events = pressed(press, drafts)
    if not isinstance(events, tuple):
        return events
    return Commit(
        handler=handler.source,
        event=event,
        outcome=outcome,
        events=events,
        logs=tuple(logs),
    )


def seal_turn(
    handler: WorkflowHandler, moment: TurnInput, awaited: Awaited, advanced: TurnOutcome
) -> Commit | Violation:
    """Seal what a workflow wants after one turn, and what it remembers (F126-F131, F161-F168).

    *awaited* is what it waited for, with the event filed where it belongs.
    """
    event, record = moment.event, moment.record
    current = record or _begun(handler, moment)
    found = wanted(handler, moment, current, advanced.commands)
    if not isinstance(found, Wanted):
        return found
    if advanced.ended and found.status == "active":
        found.status = "done"
    if isinstance(event.data, Cancellation) and found.status == "active":
        found.status = "cancelled"
    ended = ending(handler, moment, current, found, advanced)
    if not isinstance(ended, tuple):
        return ended
    press = press_of(handler, moment, current)
    events = pressed(press, (*found.drafts, *ended))
    if not isinstance(events, tuple):
        return events
    return _sealed(handler, moment, current, awaited, advanced, found, press, events)


def _sealed(
    handler: WorkflowHandler,
    moment: TurnInput,
    current: Record,
    awaited: Awaited,
    advanced: TurnOutcome,
    found: Wanted,
    press: Press,
    events: tuple[Event[Any], ...],
) -> Commit | Violation:
    event, failed, active = moment.event, found.status == "failed", found.status == "active"
    # What it waited for stays as its last good turn left it, for an operator who revives it.
    awaits = current.pending_requests if failed else _awaiting(awaited, current, events, advanced)
    if len(awaits) > AWAITED_MAX:
        issue = Issue("pending_requests", f"at most {AWAITED_MAX} requests", f"{len(awaits)}")
        return ExecutionViolation(f"{handler.source} waits for too many replies", issue)
    alarms, timers = _timers(handler, moment, current, found, press)
    pending = current.timers if failed else timers if active else EMPTY
    standing = {timer.id for timer in pending.values()} if active else set()
    state, journal = current.state, current.journal
    if not failed:
        state = found.state if advanced.state is None else advanced.state
        journal = current.journal if advanced.journal is None else advanced.journal
    # A flow that begins anew has another first line.
    first = next(iter(current.journal), None)
    same = first is not None and first is next(iter(journal), None)
    return Commit(
        handler=handler.source,
        event=event,
        outcome=_OUTCOMES[found.status],
        journal_offset=len(current.journal) if same else 0,
        expected=current.revision,
        now=moment.now,
        record=evolve(
            current,
            revision=current.revision + 1,
            state=state,
            journal=journal,
            status=found.status,
            failure=found.failure,
            children=_children(current, awaits, events),
            pending_requests=awaits,
            timers=pending,
            # Sent where it failed or was cancelled; what is done is meant to stay.
            compensations=found.undos if active else (),
            consumed=event.id,
            produced=tuple(each.id for each in events),
        ),
        events=events,
        timers=alarms if active else (),
        cleared_timers=tuple(
            timer.id
            for timer in current.timers.values()
            if timer.id not in standing and timer.id != event.id
        ),
        logs=tuple(found.logs),
    )


_OUTCOMES: Final[Mapping[Status, Outcome]] = {
    "active": "handled",
    "done": "handled",
    "failed": "failed",
    "cancelled": "cancelled",
}


def _timers(
    handler: WorkflowHandler, moment: TurnInput, current: Record, found: Wanted, press: Press
) -> tuple[tuple[PendingTimer, ...], Mapping[str, Timer]]:
    """Set and clear timers: what is to be delivered, and what the workflow then waits for."""
    fired = moment.event.data.name if isinstance(moment.event.data, TimerFired) else None
    if fired is None and not found.timers:
        return (), current.timers
    pending = {name: timer for name, timer in current.timers.items() if name != fired}
    timers: list[PendingTimer] = []
    for name, scheduled in found.timers.items():
        pending.pop(name, None)
        if scheduled is not None:
            at = scheduled.at.isoformat()
            pending[name] = Timer(press.timer_id(name), at, scheduled.payload)
            timers.append(press.alarm(handler.contract, name, pending[name]))
    return tuple(timers), FrozenDict(pending)


def _children(
    current: Record, awaits: Awaited, events: tuple[Event[Any], ...]
) -> Mapping[str, ChildRun]:
    """Add the workflows that a turn begins; of those that are done, only the newest are kept."""
    begun = {
        event.id: ChildRun(event.subject, event.dataschema or "", event.domain)
        for event in events
        if event.raw.get(PARENT_SUBJECT) == current.subject
    }
    if not begun:
        return current.children
    children = {**current.children, **begun}
    over = len(children) - CHILDREN_KEPT_MAX
    if over > 0:
        done = [id_ for id_ in children if id_ not in begun and awaits.get(id_) != ()]
        for id_ in done[:over]:
            del children[id_]
    return FrozenDict(children)


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


def _begun(handler: WorkflowHandler, moment: TurnInput) -> Record:
    """The record of a workflow before its first turn."""
    event, standing = moment.event, moment.standing
    return Record(
        subject=event.subject,
        handler=handler.source,
        version=moment.version,
        revision=0 if standing is None else standing.revision,
        status="active",
        init=event.id,
        parent=event.raw.get(PARENT_SUBJECT),
        consumed=event.id,
        revivals=0 if standing is None else standing.revivals,
    )


def _awaiting(
    awaited: Awaited, current: Record, events: tuple[Event[Any], ...], advanced: TurnOutcome
) -> Awaited:
    """Say what is waited for after a turn (F165).

    The reference starts anew whenever a turn emits, and so loses the replies that are still to come
    (B07). Here a request stays until it is answered, or nobody waits for it any more.
    """
    # Nobody answers a cancellation or a system error.
    asked = [each.id for each in events if not isinstance(each.data, Cancellation | SystemFault)]
    if not asked and not advanced.abandoned and not advanced.anew:
        return awaited
    unanswered = {
        id_: replies
        for id_, replies in awaited.items()
        if not replies
        and id_ not in advanced.abandoned
        and (not advanced.anew or id_ in current.children)
    }
    return FrozenDict({**unanswered, **dict.fromkeys(asked, ())})


def _not_for_handlers(
    handler: EventHandler[Any], command: Persist | Complete | Schedule | Cancel | Compensate
) -> Violation:
    expected = "Emit, Fail, Violate or Log: only a workflow remembers, completes, waits and undoes"
    issue = Issue("return", expected, type(command).__name__)
    return ExecutionViolation(f"{handler.source} returns what it cannot do", issue)
