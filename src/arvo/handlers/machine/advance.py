"""Move: one turn of a workflow that a statechart leads."""

from collections import deque
from typing import Any, Final, TypeAlias

from attrs import frozen

from arvo.core.command import Command, Fail, Log
from arvo.core.events.cancellation import Cancellation
from arvo.core.events.protocol import TimerFired
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.violation import Violated, Violation
from arvo.handlers.invoke import settled
from arvo.handlers.machine.commands import BY_CHART, carried, completion
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.persistence import recall, recall_timer, remember
from arvo.handlers.turn_input import TurnInput, TurnOutcome
from arvo.statechart.definition import commands as chart
from arvo.statechart.definition.faults import (
    ActionFault,
    Fault,
    GuardFault,
    LoopFault,
    UnhandledFault,
)
from arvo.statechart.execution.snapshot import Snapshot
from arvo.statechart.execution.step import initial, transition

# Of events that a chart sends itself without a delay, in one turn: far above any that means to
# come to rest.
SENDS_MAX: Final = 1_000


@frozen
class _Moved:
    """Where the chart is after a turn, and what it wants."""

    snapshot: Snapshot[Any]
    wanted: tuple[chart.Command, ...]


@frozen
class _Failed:
    """A turn that did not come to its end: what is told whoever asked, and what the operator."""

    fail: Fail
    log: Log


Walked: TypeAlias = _Moved | _Failed | Violation


def move(machine: Machine[Any], moment: TurnInput) -> TurnOutcome | Violation:
    """Offer an event to a workflow's machine (reference F145-F149).

    A machine that fails ends the workflow with a `Fail`, and what it remembered stays; an event
    that no state hears changes nothing.
    """
    before = None if moment.record is None else recall(machine, moment.record)
    if not isinstance(before, Snapshot | None):
        return before
    walked = _walked(machine, moment, before)
    match walked:
        case _Moved(snapshot=snapshot, wanted=()) if snapshot is before:
            return TurnOutcome(commands=(_ignored(moment, snapshot),))
        case _Moved():
            return _advanced(machine, moment, before, walked)
        case _Failed(fail=fail, log=log):
            return TurnOutcome(commands=(log, fail))
        case violation:
            return violation


def _walked(machine: Machine[Any], moment: TurnInput, before: Snapshot[Any] | None) -> Walked:
    """Take the event, and then what the chart sends itself."""
    if before is None:
        snapshot, commands = initial(machine.chart, moment.event)
    else:
        heard = _heard(machine, moment)
        if isinstance(heard, Violation):
            return heard
        snapshot, commands = transition(machine.chart, before, heard)
    wanted: list[chart.Command] = []
    queue: deque[object] = deque()
    for taken in range(SENDS_MAX + 1):
        if snapshot.error is not None:
            return _failed(snapshot.error, moment)
        for command in commands:
            if isinstance(command, chart.Send) and command.delay_ms is None:
                queue.append(command.event)
            else:
                wanted.append(command)
        if not queue or snapshot.end is not None:
            break
        if taken == SENDS_MAX:
            loop = LoopFault(moment.event.type, SENDS_MAX, (f"send {queue[0]}",))
            return _failed(loop, moment)
        snapshot, commands = transition(machine.chart, snapshot, queue.popleft())
    return _Moved(snapshot, tuple(wanted))


def _heard(machine: Machine[Any], moment: TurnInput) -> object | Violation:
    """Say what the chart hears: the event itself, or its own timer."""
    data = moment.event.data
    if not isinstance(data, TimerFired) or data.payload is None or BY_CHART not in data.payload:
        return moment.event
    timer = recall_timer(machine, data.payload)
    if isinstance(timer, chart.Schedule) and data.payload[BY_CHART] == "send":
        return timer.event
    return timer


def _failed(fault: Fault, moment: TurnInput) -> _Failed | Violation:
    match fault:
        case GuardFault(guard=where, cause=cause) | ActionFault(action=where, cause=cause):
            if isinstance(cause, Violated):
                return cause.violation
            told = Fail(fault.reason, name=type(fault).__name__)
            fail = told if cause is None else Fail.of(cause, stack=moment.stack)
        case LoopFault(loop=loop):
            where = " -> ".join(loop)
            fail = Fail(f"the machine does not come to rest: {where}"[:500], name="LoopFault")
        case UnhandledFault(event=where, reason=reason):
            fail = Fail(reason, name="UnhandledFault")
    log = Log("error", f"event {moment.event.id} makes the machine fail", {"at": where})
    return _Failed(fail, log)


def _ignored(moment: TurnInput, snapshot: Snapshot[Any]) -> Log:
    told = {"type": moment.event.type, "state": str(snapshot.value)}
    return Log("info", f"event {moment.event.id} moves nothing", told)


def _advanced(
    machine: Machine[Any], moment: TurnInput, before: Snapshot[Any] | None, moved: _Moved
) -> TurnOutcome | Violation:
    snapshot = moved.snapshot
    wanted = carried(machine, moment, moved.wanted)
    if not isinstance(wanted, tuple):
        return wanted
    # A cancelled workflow does not complete, in whatever state its last turn leaves the chart.
    ended = snapshot.end is not None and not isinstance(moment.event.data, Cancellation)
    last: tuple[Command, ...] = ()
    if ended and snapshot.output is not None:
        complete = completion(machine, snapshot.output)
        if isinstance(complete, Violation):
            return complete
        last = (complete,)
    state = remember(machine, snapshot, before, moment.record)
    if not isinstance(state, FrozenDict):
        return state
    return TurnOutcome(commands=settled((*wanted, *last)), state=state, ended=ended)
