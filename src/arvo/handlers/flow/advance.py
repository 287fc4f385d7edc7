"""Advance: runs one turn of a flow, from the point of its journal."""

from typing import Any, Final

from attrs import evolve

from arvo.core.command import Command, Complete, Fail, Log
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.core.events.protocol import Cancellation, TimerFired
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import (
    ContractViolation,
    ExecutionViolation,
    Violated,
    Violation,
)
from arvo.handlers.effect import Perform
from arvo.handlers.flow.errors import Cancelled, FlowFailed, ServiceFailed, UnexpectedReply
from arvo.handlers.flow.execution import FlowExecution
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.flow.journal import write_call
from arvo.handlers.flow.replay import replay_flow
from arvo.handlers.flow.task import ContinuedAsNew, Raised, Returned, Stopped
from arvo.handlers.turn_input import TurnInput, TurnOutcome
from arvo.interrupts import is_interrupt

# Restarts by `continue_as_new`, and calls, that a flow may make in one turn before it waits.
CONTINUATIONS_MAX: Final = 100
CALLS_MAX: Final = 1_000


def advance_flow(
    handler: FlowHandler[Any, Any], turn: TurnInput
) -> TurnOutcome | Perform[Any] | Violation:
    """Take a turn of a flow: deliver its event, and run it until it waits or ends.

    Returns the outcome of the turn, the next effect to perform, or a violation.
    """
    subject = turn.event.subject
    execution = _resume_turn(handler, turn)
    try:
        if execution is None:
            execution = _begin_turn(handler, turn)
        effect = _run_until_idle(handler, execution, turn)
        if effect is not None:
            handler.cache.put(subject, execution)
            return effect
        outcome = _turn_outcome(handler, execution, turn)
    except Violated as violated:
        if execution is not None:
            execution.scheduler.close()
        return violated.violation
    if execution.scheduler.outcome is None:
        journal = execution.journal if outcome.journal is None else outcome.journal
        execution.mark_idle(journal, outcome.state)
        handler.cache.put(subject, execution)
    return outcome


def _resume_turn(handler: FlowHandler[Any, Any], turn: TurnInput) -> FlowExecution | None:
    """Return the cached flow if it is in this very turn and waits for the effect just performed."""
    execution = handler.cache.pop(turn.event.subject)
    if execution is None:
        return None
    event, before = execution.pending_event, execution.performed
    if (
        event is not None
        and event == turn.event
        and len(before) < len(turn.performed)
        and all(one is other for one, other in zip(before, turn.performed, strict=False))
        and _is_current(handler, execution, turn)
    ):
        return execution
    if event is None:
        handler.cache.put(turn.event.subject, execution)
    else:
        execution.scheduler.close()
    return None


def _begin_turn(handler: FlowHandler[Any, Any], turn: TurnInput) -> FlowExecution:
    """Find or replay the flow at the point of its record, and deliver the event to it."""
    event, record = turn.event, turn.record
    flow_version = handler.flow_versions[turn.version]
    if record is None:
        execution = FlowExecution(
            handler=handler.source,
            flow_version=flow_version,
            subject=event.subject,
            init=event.id,
            event=event,
        )
        execution.begin()
    else:
        cached = handler.cache.pop(event.subject)
        if cached is not None and _is_current(handler, cached, turn):
            execution = cached
            execution.mark_idle(record.journal, record.state)
        else:
            if cached is not None:
                cached.scheduler.close()
            execution = replay_flow(handler.contract, flow_version, record)
        _deliver(execution, event)
    execution.pending_event = event
    return execution


def _is_current(handler: FlowHandler[Any, Any], execution: FlowExecution, turn: TurnInput) -> bool:
    """Return True if a cached flow is of this version and at the point of the record."""
    if execution.flow_version is not handler.flow_versions[turn.version]:
        return False
    record = turn.record
    journal, state = ((), None) if record is None else (record.journal, record.state)
    # Mostly identical objects. Else they are compared: equal length does not make equal histories.
    return (execution.journal is journal or execution.journal == journal) and (
        execution.state is state or execution.state == state
    )


def _deliver(execution: FlowExecution, event: Event[Any]) -> None:
    """Complete the operation that waits for the event; log an event for which none waits."""
    if isinstance(event.data, Cancellation):
        execution.scheduler.stop(Cancelled(event.data.reason))
        return
    if isinstance(event.data, TimerFired):
        number = execution.numbers.get(event.data.name)
        if number is not None:
            execution.resolve_timer(number, event.data.at.isoformat())
            return
    elif any(signal.type == event.type for signal in execution.flow_version.signals):
        execution.enqueue_signal(event)
        return
    else:
        number = execution.numbers.get(_request_id(event))
        if number is not None:
            execution.resolve_request(number, event)
            return
    # Ordinary: the branch that sent the request has lost a race.
    execution.commands.append((-1, Log("debug", "the flow no longer waits for the event")))


def _request_id(event: Event[Any]) -> str:
    # A request to several domains has one id for each. The first reply answers the request.
    id_, dot, position = (event.parentid or "").rpartition(".")
    return id_ if dot and position.isdigit() else event.parentid or ""


def _run_until_idle(
    handler: FlowHandler[Any, Any], execution: FlowExecution, turn: TurnInput
) -> Perform[Any] | None:
    """Run the flow until it ends or waits; return the effects that it waits for, if any."""
    restarts = 0
    while True:
        outcome = execution.scheduler.outcome
        if isinstance(outcome, ContinuedAsNew):
            restarts += 1
            if restarts > CONTINUATIONS_MAX:
                issue = Issue("continue_as_new", "a flow that waits", f"{restarts} in one turn")
                raise Violated(ExecutionViolation("the flow continues as new without end", issue))
            parent = execution.event.raw.get(PARENT_SUBJECT)
            execution.continue_as_new(*handler.new_input(turn.version, outcome.payload, parent))
            continue
        if outcome is not None:
            return None
        if _resolve_signal(execution):
            continue
        resolved = _resolve_call(execution, turn)
        if isinstance(resolved, Perform):
            return resolved
        if not resolved:
            return None


def _resolve_signal(execution: FlowExecution) -> bool:
    try:
        return execution.resolve_signal()
    except Violated:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        # A user's predicate may raise anything. It is not raised in the flow: the flow could catch
        # it, and a replay would not raise it.
        execution.scheduler.close()
        execution.scheduler.outcome = Raised(error)
        return True


def _resolve_call(execution: FlowExecution, turn: TurnInput) -> Perform[Any] | bool:
    """Complete an open call with the next performed effect of the turn, and return True.

    Returns the open calls as one `Perform` where the turn has no more results, and False where the
    flow has no open call. A result belongs to the oldest open call that it matches, so the outcome
    depends only on the order of the results.
    """
    # Oldest first.
    calls = sorted(execution.calls.items())
    if not calls:
        return False
    position = len(execution.performed)
    if position >= len(turn.performed):
        oldest, *others = (call for _, call in calls)
        return evolve(oldest, open=(oldest, *others)) if others else oldest
    done = turn.performed[position]
    match = next((entry for entry in calls if entry[1].matches(done.effect)), None)
    if match is None:
        issue = Issue(f"effects[{position}]", str(done.effect), str(calls[0][1]))
        raise Violated(ExecutionViolation("the flow asks for another effect than before", issue))
    number, call = match
    if position >= CALLS_MAX:
        issue = Issue("effects", f"at most {CALLS_MAX} in one turn", str(call))
        raise Violated(ExecutionViolation("the flow calls without end", issue))
    execution.performed.append(done)
    execution.resolve_call(number, call, write_call(call, done.value, done.error))
    return True


def _turn_outcome(
    handler: FlowHandler[Any, Any], execution: FlowExecution, turn: TurnInput
) -> TurnOutcome:
    """Return the outcome of the turn; raises `Violated` if the flow raised it."""
    commands: list[Command] = [command for _, command in execution.commands]
    outcome = execution.scheduler.outcome
    match outcome:
        case None | ContinuedAsNew():
            pass
        case Returned(value=value):
            completed = handler.contract.version(turn.version).completed
            refused = execution.flow_version.refuse_outcome(completed, value)
            if refused is not None:
                message = f"{handler.source} cannot complete with this"
                raise Violated(ContractViolation(message, refused))
            commands.append(value if isinstance(value, Complete) else Complete(value))
        case Raised(error=Violated() as violated):
            raise violated
        case Raised(error=FlowFailed(fail=fail)):
            commands.append(fail)
        case Raised(error=error):
            # A fault of a service is an answer: to take the turn again would not change it.
            unhandled = not isinstance(error, ServiceFailed | UnexpectedReply)
            commands.append(Fail.of(error, stack=turn.stack, unhandled=unhandled))
        case Stopped() if not isinstance(turn.event.data, Cancellation):
            commands.append(Fail("the flow raised Cancelled, but the workflow is not cancelled"))
        case Stopped():
            pass
    if outcome is not None and execution.signals:
        unread = {"arvo_unread": len(execution.signals)}
        commands.append(Log("info", "the flow ended with unread signals", unread))
    is_new = execution.prefix is not execution.journal
    has_changed = bool(execution.appended) or is_new
    return TurnOutcome(
        commands=tuple(commands),
        state=execution.state_to_dict(),
        journal=(*execution.prefix, *execution.appended) if has_changed else None,
        abandoned_requests=tuple(execution.abandoned),
        continued_as_new=is_new,
        # Those of `tell` have no number: no operation waits for them.
        requests=execution.numbers,
    )
