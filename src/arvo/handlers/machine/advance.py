"""Advance: one turn of a workflow that a statechart leads."""

from collections import deque
from typing import Any, Final, TypeAlias

from attrs import define

from arvo.core.command import Command, Fail, Log
from arvo.core.events.protocol import Cancellation, TimerFired
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.violation import Violated, Violation
from arvo.handlers.invoke import normalise
from arvo.handlers.machine.commands import CHART_TIMER_KEY, translate_commands
from arvo.handlers.machine.emission import to_complete
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.persistence import dump_snapshot, load_chart_timer, load_snapshot
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

# Events that a chart sends itself without a delay in one turn: far above any chart that becomes
# stable.
SENDS_MAX: Final = 1_000

_LOOP_CHARACTERS_MAX: Final = 500  # of the text of a loop, which may name many states


@define
class _Advanced:
    """The chart after a turn, and the commands that it made."""

    snapshot: Snapshot[Any]
    commands: tuple[chart.Command, ...]


@define
class _Failed:
    """A turn that failed: the failure for the caller, and a log line for the operator."""

    fail: Fail
    log: Log


_RunResult: TypeAlias = _Advanced | _Failed | Violation


def advance_machine(machine: Machine[Any], turn: TurnInput) -> TurnOutcome | Violation:
    """Pass an event to a workflow's machine.

    A machine that fails ends the workflow with a `Fail`; its last snapshot stays in the record.
    An event that no active state handles changes nothing.
    """
    before = None if turn.record is None else load_snapshot(machine, turn.record)
    if before is not None and not isinstance(before, Snapshot):
        return before
    result = _run_chart(machine, turn, before)
    match result:
        case _Advanced(snapshot=snapshot, commands=()) if snapshot is before:
            return TurnOutcome(commands=(_ignored_log(snapshot),))
        case _Advanced():
            return _build_outcome(machine, turn, before, result)
        case _Failed(fail=fail, log=log):
            return TurnOutcome(commands=(log, fail))
        case violation:
            return violation


def _run_chart(machine: Machine[Any], turn: TurnInput, before: Snapshot[Any] | None) -> _RunResult:
    """Process the event, and then the events that the chart sends itself."""
    if before is None:
        snapshot, commands = initial(machine.chart, turn.event)
    else:
        event = _chart_event(machine, turn)
        if isinstance(event, Violation):
            return event
        snapshot, commands = transition(machine.chart, before, event)
    collected: list[chart.Command] = []
    queue: deque[object] = deque()
    for sent in range(SENDS_MAX + 1):
        if snapshot.error is not None:
            return _translate_fault(snapshot.error, turn)
        for command in commands:
            if isinstance(command, chart.Send) and command.delay_ms is None:
                queue.append(command.event)
            else:
                collected.append(command)
        if not queue or snapshot.end is not None:
            break
        if sent == SENDS_MAX:
            loop = LoopFault(turn.event.type, SENDS_MAX, (f"send {queue[0]}",))
            return _translate_fault(loop, turn)
        snapshot, commands = transition(machine.chart, snapshot, queue.popleft())
    return _Advanced(snapshot, tuple(collected))


def _chart_event(machine: Machine[Any], turn: TurnInput) -> object | Violation:
    """Return the event for the chart: the turn's event, or the timer of the chart that fired."""
    data = turn.event.data
    if (
        not isinstance(data, TimerFired)
        or data.payload is None
        or CHART_TIMER_KEY not in data.payload
    ):
        return turn.event
    timer = load_chart_timer(machine, data.payload)
    if isinstance(timer, chart.Schedule) and data.payload[CHART_TIMER_KEY] == "send":
        return timer.event
    return timer


def _translate_fault(fault: Fault, turn: TurnInput) -> _Failed | Violation:
    match fault:
        case GuardFault(guard=place, cause=cause) | ActionFault(action=place, cause=cause):
            if isinstance(cause, Violated):
                return cause.violation
            if cause is None:
                fail = Fail(fault.reason, name=type(fault).__name__)
            else:
                fail = Fail.of(cause, stack=turn.stack, unhandled=True)
        case LoopFault(loop=loop):
            place = " -> ".join(loop)
            reason = f"the machine is in an endless loop: {place}"
            fail = Fail(reason[:_LOOP_CHARACTERS_MAX], name="LoopFault")
        case UnhandledFault(event=place, reason=reason):
            fail = Fail(reason, name="UnhandledFault")
    log = Log("info", "the statechart failed", {"arvo_at": place})
    return _Failed(fail, log)


def _ignored_log(snapshot: Snapshot[Any]) -> Log:
    return Log("info", "no active state handles the event", {"arvo_state": str(snapshot.value)})


def _build_outcome(
    machine: Machine[Any], turn: TurnInput, before: Snapshot[Any] | None, advanced: _Advanced
) -> TurnOutcome | Violation:
    snapshot = advanced.snapshot
    commands = translate_commands(machine, turn, advanced.commands)
    if not isinstance(commands, tuple):
        return commands
    # A cancelled workflow does not complete, in any state of its chart.
    ended = snapshot.end is not None and not isinstance(turn.event.data, Cancellation)
    completion: tuple[Command, ...] = ()
    if ended and snapshot.output is not None:
        complete = to_complete(machine, snapshot.output)
        if isinstance(complete, Violation):
            return complete
        completion = (complete,)
    state = dump_snapshot(machine, snapshot, before, turn.record)
    if not isinstance(state, FrozenDict):
        return state
    return TurnOutcome(normalise((*commands, *completion)), state, ended=ended)
