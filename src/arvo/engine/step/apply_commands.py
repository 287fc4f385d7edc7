"""Wanted: what the commands of one turn come to, before anything is made of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, final

import attrs
from attrs import define, field, frozen

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
from arvo.core.events.fault import SystemFault
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import Json, freeze, freeze_object
from arvo.core.payloads.payload import Payload
from arvo.core.record import Record, Status
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ExecutionViolation, Violation
from arvo.engine.step.draft import Draft, completion_draft, request_draft, told
from arvo.engine.step.undo import undo_of
from arvo.engine.system.system import WorkflowHandler
from arvo.handlers.resumable import Resumable
from arvo.handlers.turn_input import TurnInput

# A workflow that waits for more timers, or would undo more steps, has lost track of them.
TIMERS_MAX: Final = 1_000
UNDOS_MAX: Final = 10_000


@final
@frozen
class Scheduled:
    """A timer that is to be set: when it is due, and what it hands back."""

    at: datetime
    payload: FrozenDict | None


@final
@define
class Wanted:
    """What a turn wants, gathered command by command.

    *timers*: by name what is to be set, None for what is to be cleared. *failed*: the command that
    ended the workflow as failed. What is said last of a state or a timer counts.
    """

    state: Json
    status: Status
    undos: tuple[FrozenDict, ...]
    drafts: list[Draft] = field(factory=list)
    logs: list[Log] = field(factory=list)
    timers: dict[str, Scheduled | None] = field(factory=dict)
    failed: Fail | None = None

    @property
    def failure(self) -> SystemFault | None:
        """Why the workflow failed, where it did."""
        return None if self.failed is None else told(self.failed)


def wanted(
    handler: WorkflowHandler, moment: TurnInput, current: Record, commands: tuple[Command, ...]
) -> Wanted | Violation:
    """Gather what the commands of a turn come to, or say which of them cannot be."""
    found = Wanted(current.state, current.status, current.compensations)
    for command in commands:
        violation = _take(found, handler, moment, current, command)
        if violation is not None:
            return violation
    waiting = {name for name in current.timers if name not in found.timers}
    waiting |= {name for name, scheduled in found.timers.items() if scheduled is not None}
    if len(waiting) > TIMERS_MAX:
        issue = Issue("schedule", f"at most {TIMERS_MAX} timers", f"{len(waiting)}")
        return ExecutionViolation(f"{handler.source} waits for too many timers", issue)
    if len(found.undos) > UNDOS_MAX:
        issue = Issue("undo", f"at most {UNDOS_MAX} undos", f"{len(found.undos)}")
        return ExecutionViolation(f"{handler.source} would undo too much", issue)
    return found


def _take(  # noqa: C901 - one branch for each command
    found: Wanted, handler: WorkflowHandler, moment: TurnInput, current: Record, command: Command
) -> Violation | None:
    match command:
        case Emit():
            drafted = request_draft(handler, moment, command)
            if not isinstance(drafted, Draft):
                return drafted
            found.drafts.append(drafted)
        case Complete():
            if found.status == "done":
                issue = Issue("return", "one Complete", "two")
                return ExecutionViolation(f"{handler.source} completes twice", issue)
            found.status = "done"
            found.drafts.append(completion_draft(handler, moment, current, command))
        case Persist():
            remembered = _remembered(handler, command.state)
            if isinstance(remembered, Issues):
                return ExecutionViolation(f"{handler.source} cannot remember this", remembered)
            found.state = remembered
        case Fail():
            found.status, found.failed = "failed", command
        case Violate(violation=violation):
            return violation
        case Schedule(name=name):
            return _schedule(found, handler, moment, name, command)
        case Cancel(name=name):
            # Told last, as the order of a mapping is.
            found.timers.pop(name, None)
            found.timers[name] = None
        case Compensate(emit=emit):
            undo = undo_of(handler, moment, current, emit)
            if not isinstance(undo, FrozenDict):
                return undo
            found.undos = (*found.undos, undo)
        case Log():
            found.logs.append(command)
    return None


def _schedule(
    found: Wanted, handler: WorkflowHandler, moment: TurnInput, name: str, command: Schedule
) -> Violation | None:
    if found.timers.get(name) is not None:
        issue = Issue("schedule.name", "a name of its own for each timer of a turn", repr(name))
        return ExecutionViolation(f"{handler.source} sets one timer twice", issue)
    payload = _payload(command.payload)
    if isinstance(payload, Issues):
        return ExecutionViolation(f"{handler.source} sets a timer with no payload", payload)
    try:
        at = command.due(moment.now)
    except OverflowError:
        got = short(command.at if command.after is None else command.after)
        issue = Issue("schedule", "a time in UTC of the years 1 to 9999", got)
        return ExecutionViolation(f"{handler.source} sets a timer for no time", issue)
    found.timers[name] = Scheduled(at, payload)
    return None


def _payload(given: Any) -> FrozenDict | Issues | None:
    if given is None:
        return None
    kind: type[Any] = type(given)
    json = Payload.of(kind).write(given, path="schedule.payload") if attrs.has(kind) else given
    if isinstance(json, Issues):
        return json
    if not isinstance(json, Mapping):
        return Issues.one("schedule.payload", "an object", short(json))
    # In its place: the event of the timer nests it one level deeper.
    found = freeze_object({"payload": json}, "schedule")
    if isinstance(found, Issues):
        return found
    payload: FrozenDict = found["payload"]
    return payload


def _remembered(handler: WorkflowHandler, state: object) -> Json | Issues:
    if state is None:
        return None
    typed = handler.state if isinstance(handler, Resumable) else None
    json = state if typed is None else typed.write(state, path="state")
    return json if isinstance(json, Issues) else freeze(json, "state")
