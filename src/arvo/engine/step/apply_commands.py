"""Apply commands: gather the effects of a turn's commands before the commit is built."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, final

from attrs import define, field, frozen

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
from arvo.core.events.subject import workflow_id_of
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import Json, freeze, freeze_object, freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.record import Record, Status
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violation
from arvo.engine.step.compensation import make_compensation
from arvo.engine.step.draft import Draft, completion_draft, request_draft
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.resumable import Resumable
from arvo.handlers.turn_input import TurnInput

# A workflow with more pending timers or compensations than this has lost track of them.
TIMERS_MAX: Final = 1_000
COMPENSATIONS_MAX: Final = 10_000


@final
@frozen
class Scheduled:
    """A timer to set: the time at which it fires, and the payload of its event."""

    at: datetime
    payload: FrozenDict | None


@final
@define
class TurnEffects:
    """The effects of one turn's commands, gathered command by command.

    *timers*: by name, the timer to set, or None for one to clear. *cancelled_children*: why, by the
    id of the request that began the child. *fail*: the command that failed the workflow. *answers*:
    the ids of the events that answer a signal, once they are made. Where several commands set the
    state or the same timer, the last one counts.
    """

    state: Json
    status: Status
    compensations: tuple[FrozenDict, ...]
    drafts: list[Draft] = field(factory=list)
    logs: list[Log] = field(factory=list)
    timers: dict[str, Scheduled | None] = field(factory=dict)
    cancelled_children: dict[str, str] = field(factory=dict)
    fail: Fail | None = None
    answers: tuple[str, ...] = ()


def apply_commands(
    handler: WorkflowHandler, turn: TurnInput, current: Record, commands: tuple[Command, ...]
) -> TurnEffects | Violation:
    """Gather the effects of a turn's commands, or return a violation for an invalid command."""
    effects = TurnEffects(current.state, current.status, current.compensations)
    for command in commands:
        violation = _apply(effects, handler, turn, current, command)
        if violation is not None:
            return violation
    pending = _count_timers(current, effects) if effects.timers else 0
    if pending > TIMERS_MAX:
        issue = Issue("schedule", f"at most {TIMERS_MAX} timers", f"{pending}")
        return ExecutionViolation(f"{handler.source} waits for too many timers", issue)
    if len(effects.compensations) > COMPENSATIONS_MAX:
        issue = Issue(
            "compensate",
            f"at most {COMPENSATIONS_MAX} compensations",
            f"{len(effects.compensations)}",
        )
        return ExecutionViolation(f"{handler.source} registers too many compensations", issue)
    return effects


def _count_timers(current: Record, effects: TurnEffects) -> int:
    timers: dict[str, object] = {**current.timers, **effects.timers}
    return len(timers) - list(timers.values()).count(None)


def _apply(  # noqa: C901 - one branch for each command
    effects: TurnEffects,
    handler: WorkflowHandler,
    turn: TurnInput,
    current: Record,
    command: Command,
) -> Violation | None:
    match command:
        case Emit():
            draft = request_draft(handler, turn, command)
            if not isinstance(draft, Draft):
                return draft
            effects.drafts.append(draft)
        case Complete():
            if effects.status == "done":
                issue = Issue("return", "one Complete", "two")
                return ExecutionViolation(f"{handler.source} completes twice", issue)
            effects.status = "done"
            effects.drafts.append(completion_draft(handler, turn, current, command))
        case Persist():
            return _persist(effects, handler, command)
        case Fail():
            effects.status, effects.fail = "failed", command
        case Violate(violation=violation):
            return violation
        case Schedule(name=name):
            return _schedule(effects, handler, turn, name, command)
        case Cancel(name=name):
            # Removed first, so that the name goes to the end: the mapping keeps the order of the
            # commands.
            effects.timers.pop(name, None)
            effects.timers[name] = None
        case CancelChild(workflow_id=id_, reason=reason):
            for request in current.open_children:
                if workflow_id_of(current.children[request].subject) == id_:
                    effects.cancelled_children[request] = reason
        case Compensate(emit=emit):
            compensation = make_compensation(handler, turn, current, emit)
            if not isinstance(compensation, FrozenDict):
                return compensation
            effects.compensations = (*effects.compensations, compensation)
        case Log():
            effects.logs.append(command)
    return None


def _persist(effects: TurnEffects, handler: WorkflowHandler, command: Persist) -> Violation | None:
    state = _freeze_state(handler, command.state)
    if isinstance(state, Issues):
        return ExecutionViolation(f"{handler.source} persists an invalid state", state)
    effects.state = state
    return None


def _schedule(
    effects: TurnEffects, handler: WorkflowHandler, turn: TurnInput, name: str, command: Schedule
) -> Violation | None:
    if effects.timers.get(name) is not None:
        issue = Issue("schedule.name", "a unique name for each timer of a turn", repr(name))
        return ExecutionViolation(f"{handler.source} sets a timer twice", issue)
    payload = _freeze_payload(command.payload)
    if isinstance(payload, Issues):
        return ExecutionViolation(f"{handler.source} sets a timer with an invalid payload", payload)
    try:
        at = command.due(turn.now)
    except OverflowError:
        got = short_repr(command.at if command.after is None else command.after)
        issue = Issue("schedule", "a time between the years 1 and 9999 in UTC", got)
        return ExecutionViolation(f"{handler.source} sets a timer for an invalid time", issue)
    effects.timers[name] = Scheduled(at, payload)
    return None


def _freeze_payload(value: Any) -> FrozenDict | Issues | None:
    if value is None:
        return None
    json = _write_instance(value) if is_payload_class(type(value)) else value
    if isinstance(json, Issues):
        return json
    if not isinstance(json, Mapping):
        return Issues.one("schedule.payload", "an object", short_repr(json))
    # Frozen where the timer event holds it, one level deeper, for the limit on nesting.
    wrapped = freeze_object({"payload": json}, "schedule")
    if isinstance(wrapped, Issues):
        return wrapped
    payload: FrozenDict = wrapped["payload"]
    return payload


def _write_instance(value: Any) -> dict[str, Any] | Issues:
    kind: type[Any] = type(value)
    try:
        return Payload.of(kind).write(value, path="schedule.payload")
    except PayloadError as error:
        # No contract has checked its class: it may be mutable, or generic and without its types.
        expected = f"a mapping or an instance of a payload class ({error})"
        return Issues.one("schedule.payload", expected, short_repr(value))


def _freeze_state(handler: WorkflowHandler, state: object) -> Json | Issues:
    if state is None:
        return None
    typed = handler.state if isinstance(handler, Resumable) else None
    if typed is None:
        return freeze(state, "state")
    json = typed.write(state, path="state")
    frozen_state: Json | Issues = json if isinstance(json, Issues) else freeze_unchecked(json)
    return frozen_state
