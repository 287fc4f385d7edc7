"""Step: decide everything that one event changes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias, final

from attrs import define
from returns.result import Failure, Result, Success

from arvo.core.begin import compare_begin, find_other_run, has_chosen_id, is_keyed, refuse_begin
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import (
    Cancellation,
    TimerFired,
    cancel_type,
    fork_type,
)
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.record import Record
from arvo.core.trace_context import TraceContext, with_trace
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violation,
)
from arvo.engine.step.admit import (
    Admitted,
    admit,
    admit_event,
    admit_subject,
    admit_turn,
    admit_version,
    is_signal,
)
from arvo.engine.step.advance import advance, check_cancellation, fork_first_turn
from arvo.engine.step.build_commit import (
    build_event_handler_commit,
    build_refused_begin,
    build_turn_commit,
)
from arvo.engine.step.doors import find_id_conflict, is_from_handler
from arvo.engine.step.oversize import limit_sizes
from arvo.engine.step.pending import file_reply, find_request, refuse_reply
from arvo.engine.step.termination import decide_after_end, needs_active_run, unchanged_commit
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.outcomes import with_outcomes
from arvo.engine.system.system import System, require_system
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import invoke
from arvo.handlers.resumable import Resumable
from arvo.handlers.turn_input import TurnInput, TurnOutcome

StepResult: TypeAlias = Commit | Perform[Any] | Violation


class Step(Protocol):
    """A function that takes a step as `step` does, and returns a plain union."""

    def __call__(
        self,
        system: System,
        event: Event[Any],
        record: Record | None,
        /,
        *,
        now: datetime,
        performed: Sequence[Performed] = (),
        trace: TraceContext | None = None,
    ) -> StepResult:
        """Take one step."""


# Wraps a step: it may look at the arguments and the result, and change both.
Middleware: TypeAlias = Callable[[Step], Step]


def step(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    performed: Sequence[Performed] = (),
    trace: TraceContext | None = None,
) -> Result[Commit | Perform[Any], Violation]:
    """Take one step: find the handler of *event*, run it, and return everything that it changes.

    Pure: the same arguments give an equal result, ids included. *record* is the stored record of
    the event's subject, or None. *now*, with a UTC offset, becomes the time of the new events.
    Success holds a `Commit`, or a `Perform` where the handler asks for an effect: perform it, or
    all of its `effects` at once, and step again with each outcome appended to *performed*, in the
    order in which the effects ended. Failure holds a violation; nothing changes.

    *trace*: the events that the step emits carry it; None: they carry that of *event*. Nothing
    else depends on it.
    """
    require_system(system, "step")
    result = step_plain(system, event, record, now=now, performed=performed, trace=trace)
    match result:
        case Commit() | Perform():
            return Success(result)
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ):
            return Failure(result)


def step_plain(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    performed: Sequence[Performed] = (),
    trace: TraceContext | None = None,
) -> StepResult:
    """Take one step and return a plain union: the form of `step` that interpreters use."""
    handler = admit(system, event)
    if is_workflow(handler):
        return _step_workflow(system, handler, event, record, _Inputs(now, performed, trace))
    if isinstance(handler, EventHandler):
        return _step_event_handler(system, handler, event, _Inputs(now, performed, trace))
    return handler


@final
@define
class _Inputs:
    """The further inputs of a step: see `step`."""

    # Not frozen, as `Draft` is not.
    now: datetime
    performed: Sequence[Performed]
    trace: TraceContext | None


def _step_event_handler(
    system: System,
    handler: EventHandler[Any],
    event: Event[Any],
    inputs: _Inputs,
) -> StepResult:
    admitted = admit_event(handler, event)
    if not isinstance(admitted, Admitted):
        return admitted
    function = handler.functions[admitted.contract.version]
    commands = invoke(function, admitted.event, inputs.performed, stack=system.stacks)
    if not isinstance(commands, tuple):
        return commands
    return limit_sizes(
        commands,
        lambda limited: build_event_handler_commit(handler, admitted, limited, inputs.now),
        inputs.trace,
        system.data_bytes_max,
    )


def _step_workflow(
    system: System,
    handler: WorkflowHandler,
    event: Event[Any],
    record: Record | None,
    inputs: _Inputs,
) -> StepResult:
    subject = admit_subject(event)
    if not isinstance(subject, Subject):
        return subject
    stored = record
    # A workflow that was revived after its first turn failed has not started yet.
    if record is not None and (not record.init or _begins_next(handler, event, record)):
        record = None
    decided = _check_before_turn(system, handler, event, record, inputs)
    if decided is not None:
        return decided
    # `migrate` may have moved a record to another version than its subject names.
    version = subject.orchestrator.version if record is None else record.version
    admitted = admit_version(handler, version) or admit_turn(handler, version, event)
    if not isinstance(admitted, Admitted):
        return admitted
    if record is None and event.type != handler.source:
        forked = fork_first_turn(system, admitted.event, inputs.now)
        if inputs.trace is None or not isinstance(forked, Commit):
            return forked
        return with_trace(forked, inputs.trace)
    # After the payload: an event that fits no contract is a violation even if it comes too late.
    decided = _check_still_expected(handler, admitted.event, record, inputs.now)
    if decided is not None:
        return decided
    filed = file_reply(record, admitted.event)
    turn = TurnInput(
        admitted.event,
        subject,
        version,
        record,
        inputs.now,
        stored,
        inputs.performed,
        system.stacks,
    )
    outcome = advance(handler, turn, filed)
    if not isinstance(outcome, TurnOutcome):
        return outcome

    return limit_sizes(
        outcome.commands,
        lambda commands: with_outcomes(
            system,
            build_turn_commit(
                handler,
                turn,
                filed,
                outcome if commands is outcome.commands else TurnOutcome(commands),
            ),
        ),
        inputs.trace,
        system.data_bytes_max,
    )


def _check_before_turn(
    system: System,
    handler: WorkflowHandler,
    event: Event[Any],
    record: Record | None,
    inputs: _Inputs,
) -> Commit | Violation | None:
    """Decide an event that no turn may handle; return None for every other event."""
    owner = Subject.parse(event.subject).orchestrator.name
    if owner != handler.source:
        note = f"the subject belongs to {owner}"
        return unchanged_commit(handler, event, None, "wrong_handler", note)
    starts = event.type == handler.source
    forks = event.type == fork_type(handler.source)
    if record is None:
        if starts or forks:
            return None
        if event.type == cancel_type(handler.source):
            # The cancellation may have overtaken the event that starts the workflow. Ignoring it
            # would let the workflow run on.
            issue = Issue("subject", "a workflow that has started", "one that has not")
            message = f"the cancellation {event.id!r} arrived before the workflow started"
            return TransactionViolation(message, "early", issue)
        note = "no workflow with this subject has started"
        return unchanged_commit(handler, event, None, "unknown_workflow", note)
    is_shared = starts and is_keyed(event) and isinstance(handler, Resumable)
    if starts and has_chosen_id(event) and not is_shared:
        return _decide_begin(system, handler, event, record, inputs)
    if _is_duplicate(record, event, starts=starts or forks):
        conflict = find_id_conflict(record, event)
        if conflict is not None and not is_from_handler(system, event):
            return conflict
        note = "the workflow has consumed it already"
        return unchanged_commit(handler, event, record, "duplicate", note)
    if record.status == "failed" and needs_active_run(handler, event, record):
        reason = "unknown reason" if record.failure is None else record.failure.message
        note = f"the workflow failed: {reason}"
        return unchanged_commit(handler, event, record, "workflow_failed", note)
    if (starts and not is_shared) or forks:
        issue = Issue("subject", "a new subject", f"the subject of event {record.init!r}")
        return ExecutionViolation("the workflow has already started", issue)
    return None


def _begins_next(handler: WorkflowHandler, event: Event[Any], record: Record) -> bool:
    """Return True for a begin after which the run of *record* is the previous one."""
    is_begin = event.type == handler.source and has_chosen_id(event)
    return is_begin and compare_begin(record, event) == "next"


def _decide_begin(
    system: System, handler: WorkflowHandler, event: Event[Any], record: Record, inputs: _Inputs
) -> Commit | Violation:
    """Decide a begin whose workflow id belongs to the run of *record*."""
    is_inside = is_from_handler(system, event)
    if compare_begin(record, event, by_content=not is_inside) == "same":
        note = "the workflow has begun with it already"
        return unchanged_commit(handler, event, record, "duplicate", note)
    conflict = refuse_begin(record, event, workflow_id_of(event.subject))
    if not is_inside:
        return conflict
    return _answer_refused_begin(
        handler, event, record.revision, conflict, now=inputs.now, trace=inputs.trace
    )


def decide_taken_id(
    system: System,
    event: Event[Any],
    holder: Record,
    expected: int,
    *,
    now: datetime,
    trace: TraceContext | None = None,
) -> Commit | Violation:
    """Decide a begin whose workflow id another run has: that of *holder*, see `find_other_run`.

    *expected*: the revision of the record at the event's own subject, 0 if there is none.
    """
    handler, conflict = system.handler_at(event.to), find_other_run(holder, event)
    assert is_workflow(handler)
    assert conflict is not None
    if not is_from_handler(system, event):
        return conflict
    return _answer_refused_begin(handler, event, expected, conflict, now=now, trace=trace)


def _answer_refused_begin(
    handler: WorkflowHandler,
    event: Event[Any],
    expected: int,
    conflict: Violation,
    *,
    now: datetime,
    trace: TraceContext | None,
) -> Commit | Violation:
    """Build the system error for the workflow that asks for a child: it waits for an answer, which
    no operator can give.
    """
    commit = build_refused_begin(handler, event, expected, conflict, now)
    if trace is None or not isinstance(commit, Commit):
        return commit
    return with_trace(commit, trace)


def _is_duplicate(record: Record, event: Event[Any], *, starts: bool) -> bool:
    """Return True for a redelivery that the record itself shows; inboxes catch all others.

    CloudEvents 1.0: two events with the same source and id are duplicates.
    """
    if starts:
        return event.id == record.init
    replies = record.replies.to(event.parentid)
    return bool(replies) and any(
        event.id == reply.id and event.source == reply.source for reply in replies
    )


def _check_still_expected(
    handler: WorkflowHandler, event: Event[Any], record: Record | None, now: datetime
) -> Commit | Violation | None:
    """Decide an event that comes too late, and a timer that comes too early (promise I7)."""
    if record is None:
        return None
    if record.status != "active":
        return decide_after_end(handler, event, record, now)
    if isinstance(event.data, TimerFired):
        return _check_timer(handler, event, event.data, record, now)
    if isinstance(event.data, Cancellation):
        return check_cancellation(event, event.data, record)
    if event.type == handler.source or is_signal(handler, record.version, event):
        return None
    sent = find_request(record, event)
    if sent is None:
        note = f"it answers no open request (parentid {event.parentid!r})"
        return unchanged_commit(handler, event, record, "late", note)
    return refuse_reply(sent, event)


def _check_timer(
    handler: WorkflowHandler, event: Event[Any], fired: TimerFired, record: Record, now: datetime
) -> Commit | Violation | None:
    """Decide a timer that is not pending, is not as the record has it, or comes too early."""
    timer = record.timers.get(fired.name)
    if timer is None or timer.id != event.id:
        note = f"the timer {fired.name!r} has fired, or was cancelled or rescheduled"
        return unchanged_commit(handler, event, record, "late", note)
    if fired.at.isoformat() != timer.at or fired.payload != timer.payload:
        issue = Issue("data", f"the timer as it was set, due at {timer.at}", fired.at.isoformat())
        return ContractViolation(f"the timer {fired.name!r} of {handler.source} is forged", issue)
    if now < fired.at:
        issue = Issue("now", f"{fired.at.isoformat()} or later", now.isoformat())
        message = f"the timer {fired.name!r} of {handler.source} is delivered too early"
        return TransactionViolation(message, cause="early", issues=issue)
    return None
