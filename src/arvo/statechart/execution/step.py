"""Step: one macrostep of a chart, from an event to the next stable configuration."""

from typing import Any, TypeVar, cast, final

from attrs import frozen

from arvo.interrupts import is_interrupt
from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.compiled_guards import display_name
from arvo.statechart.compiled.configuration import Configuration, state_value
from arvo.statechart.compiled.ops import to_event
from arvo.statechart.compiled.plan import Plan
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.selection import select_eventless, select_transitions
from arvo.statechart.compiled.tree import Tree
from arvo.statechart.definition.commands import Command, Schedule
from arvo.statechart.definition.events import ACTOR_ERROR_PREFIX, AFTER_PREFIX, Init
from arvo.statechart.definition.faults import (
    ActionFault,
    Fault,
    GuardFault,
    LoopFault,
    UnhandledFault,
    describe_error,
)
from arvo.statechart.definition.guards import StateValue
from arvo.statechart.execution.macrostep import Macrostep, run_ops
from arvo.statechart.execution.repetition import WATCHED_MICROSTEPS_MIN, Repetition
from arvo.statechart.execution.snapshot import EMPTY_MEMORY, End, Memory, Snapshot
from arvo.statechart.execution.timers import pending_timers, without_timer

C = TypeVar("C")

LOOP_LENGTH_MAX = 64  # microsteps searched for a repetition before the limit is reached


@final
@frozen(eq=False)
class _Beginning:
    """What the guards of actions read while the first states are entered.

    As in XState, `state_in` finds these states by their value, and not by an id.
    """

    tree: Tree
    entered: int
    mask: int = 0

    @property
    def value(self) -> StateValue:
        """The state value after the entry."""
        return state_value(self.tree, self.entered)


def initial(chart: Chart[C], input: object = None) -> tuple[Snapshot[C], tuple[Command, ...]]:  # noqa: A002
    """Start *chart*: enter its initial states and run to the first stable configuration.

    If that fails, the snapshot has the status ``error`` and no active state.
    """
    program = chart.compiled
    empty = program.configuration(0, ())
    macrostep = Macrostep(program.compiler, empty, None, Init(input), {})
    try:
        macrostep.context = chart.initial_context(input)
        plan = program.start_plan()
        macrostep.configuration = cast("Configuration", _Beginning(program.tree, plan.mask))
        _microstep(macrostep, program, plan)
        fault = _run_to_stable(macrostep, program, chart.limit)
    except BaseException as error:
        if is_interrupt(error):
            raise
        fault = _make_fault(macrostep, program, error)
    if fault is not None:
        return Snapshot(empty, macrostep.context, EMPTY_MEMORY, End(fault=fault)), ()
    return _make_snapshot(macrostep, EMPTY_MEMORY)


def transition(
    chart: Chart[C], snapshot: Snapshot[C], event: object
) -> tuple[Snapshot[C], tuple[Command, ...]]:
    """Process *event* and return the next snapshot and the commands, in order.

    *event* is an event type, an object with a ``type``, or a timer (``Schedule``) that is due.
    If nothing changes, the result is the very same snapshot. An exception in a guard or an
    action, and a chart that does not become stable, discard the macrostep: the snapshot keeps its
    states and context, its ``status`` is ``error``, its ``error`` is the fault, and there are no
    commands. A chart that has ended ignores events, and a timer that is no longer pending changes
    nothing.
    """
    if snapshot.end is not None:
        return snapshot, ()
    program = chart.compiled
    configuration = snapshot.configuration
    if configuration.program is not program:
        configuration = program.adopt(configuration)
    if type(event) is Schedule:
        if event not in snapshot.memory.timers:
            return snapshot, ()
        return _step(chart, snapshot, without_timer(snapshot.memory, event), event.event)
    if type(event) is str:
        kind = event
    else:
        event = to_event(event)
        kind = program.type_of(event)
    try:
        shortcut = configuration.shortcuts[kind]
    except KeyError:
        shortcut = program.shortcut(configuration, kind)
    if shortcut is None:
        memory = snapshot.memory
        if memory.timers and kind.startswith(AFTER_PREFIX):
            memory = without_timer(memory, kind)
        return _step(chart, snapshot, memory, to_event(event))
    if shortcut.configuration is None:
        return snapshot, shortcut.commands
    return Snapshot(shortcut.configuration, snapshot.context, snapshot.memory), shortcut.commands


def can(chart: Chart[C], snapshot: Snapshot[C], event: object) -> bool:
    """Return whether *event* would take a transition that has a target or an action.

    The result is False if a guard raises, if *event* is a timer that is not pending, and after
    the end of the chart.
    """
    if snapshot.end is not None:
        return False
    program = chart.compiled
    if type(event) is Schedule:
        if event not in snapshot.memory.timers:
            return False
        event = event.event
    macrostep = _start_macrostep(program, snapshot, to_event(event))
    try:
        edges = _select(macrostep, program)
    except BaseException as error:
        if is_interrupt(error):
            raise
        return False
    return any(edge.targets is not None or edge.ops for edge in edges)


def _step(
    chart: Chart[C], snapshot: Snapshot[C], memory: Memory, event: object
) -> tuple[Snapshot[C], tuple[Command, ...]]:
    """Run the whole macrostep. *memory* is the snapshot's without the timer that is due."""
    program = chart.compiled
    macrostep = _start_macrostep(program, snapshot, event)
    try:
        edges = _select(macrostep, program)
        if edges:
            plan = program.plan(macrostep.configuration, edges, macrostep.records)
            _microstep(macrostep, program, plan)
            fault = _run_to_stable(macrostep, program, chart.limit)
        else:
            fault = _handle_unselected(macrostep, program, chart.limit)
    except BaseException as error:
        if is_interrupt(error):
            raise
        fault = _make_fault(macrostep, program, error)
    if fault is not None:
        records_only = Memory(memory.records) if memory.timers else memory
        end = End(fault=fault)
        return Snapshot(snapshot.configuration, snapshot.context, records_only, end), ()
    after: Snapshot[C]
    after, commands = _make_snapshot(macrostep, memory)
    if not macrostep.changed and after.memory == snapshot.memory:
        return snapshot, commands
    return after, commands


def _start_macrostep(program: Program, snapshot: Snapshot[C], event: object) -> Macrostep:
    configuration = snapshot.configuration
    if configuration.program is not program:
        configuration = program.adopt(configuration)
    records = snapshot.memory.records
    return Macrostep(program.compiler, configuration, snapshot.context, event, records)


def _select(macrostep: Macrostep, program: Program) -> tuple[Edge, ...]:
    event_type = program.type_of(macrostep.event)
    selection = program.selection(macrostep.configuration, event_type)
    if selection.constant is not None:
        return selection.constant
    return select_transitions(selection.candidates, macrostep)


def _microstep(macrostep: Macrostep, program: Program, plan: Plan) -> bool:
    """Run one microstep, and return whether it changed states, records or context, or ended."""
    macrostep.assigned = False
    run_ops(macrostep, plan.ops)
    if plan.records:
        macrostep.records = {**macrostep.records, **plan.records}
    if plan.moved:
        macrostep.configuration = program.configuration(plan.mask, plan.leaves)
    changed = plan.moved or macrostep.assigned or macrostep.end is not None
    macrostep.changed = macrostep.changed or changed
    return changed


def _run_to_stable(macrostep: Macrostep, program: Program, limit: int) -> Fault | None:
    """Take eventless transitions, then raised events, until neither is left.

    This is the inner loop of SCXML's mainEventLoop. As in XState, a round of eventless
    transitions that changed nothing is not repeated before the next raised event; that is how an
    ``always`` that only logs ends.
    """
    first, try_always, steps = program.type_of(macrostep.event), True, 0
    labels: list[str] = []
    repetition = Repetition()
    while macrostep.end is None:
        always = macrostep.configuration.always
        edges = select_eventless(always, macrostep) if try_always and always else ()
        raised = not edges
        if raised:
            if not macrostep.internal_queue:
                return None
            macrostep.event = macrostep.internal_queue.popleft()
            edges = _select(macrostep, program)
        steps += 1
        if steps > limit - LOOP_LENGTH_MAX:
            labels.extend(edge.label for edge in edges)
            if steps > limit:
                return LoopFault(first, limit, _repeated_labels(labels))
        if steps >= WATCHED_MICROSTEPS_MIN and repetition.is_found(macrostep, edges, raised=raised):
            # The labels of the last microsteps before the limit, as if they were taken.
            for later in range(max(steps, limit - LOOP_LENGTH_MAX) + 1, limit + 2):
                labels.extend(repetition.at(later - steps))
            return LoopFault(first, limit, _repeated_labels(labels))
        changed = bool(edges) and _microstep(
            macrostep, program, program.plan(macrostep.configuration, edges, macrostep.records)
        )
        try_always = changed or raised
    return None


def _handle_unselected(macrostep: Macrostep, program: Program, limit: int) -> Fault | None:
    """Handle an event that no transition takes: an actor's error is a fault."""
    kind = program.type_of(macrostep.event)
    if kind.startswith(ACTOR_ERROR_PREFIX):
        return UnhandledFault(kind, repr(macrostep.event))
    return _run_to_stable(macrostep, program, limit)


def _make_snapshot(
    macrostep: Macrostep, memory: Memory
) -> tuple[Snapshot[Any], tuple[Command, ...]]:
    timers = memory.timers
    if macrostep.timers_changed:
        timers = pending_timers(timers, macrostep.commands)
    if macrostep.end is not None:
        timers = ()
    records = macrostep.records
    if records is not memory.records or timers != memory.timers:
        memory = Memory(records, timers) if records or timers else EMPTY_MEMORY
    snapshot = Snapshot(macrostep.configuration, macrostep.context, memory, macrostep.end)
    return snapshot, tuple(macrostep.commands)


def _make_fault(macrostep: Macrostep, program: Program, error: BaseException) -> Fault:
    event = program.type_of(macrostep.event)
    current, reason = macrostep.current, describe_error(error)
    if isinstance(current, Edge):
        state = program.tree.nodes[current.source].id
        return GuardFault(display_name(current.definition.guard), state, event, reason, error)
    action = "context" if current is None else current.label
    return ActionFault(action, event, reason, error)


def _repeated_labels(labels: list[str]) -> tuple[str, ...]:
    """Return the shortest sequence that the end of *labels* repeats, or all of *labels*."""
    for length in range(1, len(labels) // 2 + 1):
        if labels[-length:] == labels[-2 * length : -length]:
            return tuple(labels[-length:])
    return tuple(labels)
