"""Step: one macrostep of a chart, from an event to rest."""

from typing import Any, TypeVar

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.compiled_guards import spoken
from arvo.statechart.compiled.ops import heard
from arvo.statechart.compiled.plan import Plan
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.selection import eventless, select
from arvo.statechart.definition.commands import Cancel, Command, Schedule
from arvo.statechart.definition.events import ACTOR_ERROR_PREFIX, AFTER_PREFIX, Init
from arvo.statechart.definition.faults import (
    ActionFault,
    Fault,
    GuardFault,
    LoopFault,
    UnhandledFault,
    reason,
)
from arvo.statechart.execution.macrostep import Run, perform
from arvo.statechart.execution.snapshot import NO_PAST, Ended, Past, Snapshot

C = TypeVar("C")

LOOP_LENGTH_MAX = 64  # microsteps that are watched for a repetition before the limit is reached


def initial(chart: Chart[C], input: object = None) -> tuple[Snapshot[C], tuple[Command, ...]]:  # noqa: A002
    """Start *chart*: enter its initial states and come to rest.

    If that fails, the snapshot has the status ``error`` and no state is active.
    """
    program = chart.compiled
    nowhere = program.configuration(0, ())
    run = Run(program.compiler, nowhere, None, Init(input), {})
    try:
        run.context = chart.begin(input)
        _microstep(run, program, program.begin())
        fault = _settle(run, program, chart.limit)
    except Exception as error:  # noqa: BLE001
        fault = _fault(run, program, error)
    if fault is not None:
        return Snapshot(nowhere, run.context, NO_PAST, Ended(fault=fault)), ()
    return _rest(run, NO_PAST)


def transition(
    chart: Chart[C], snapshot: Snapshot[C], event: object
) -> tuple[Snapshot[C], tuple[Command, ...]]:
    """Take *event*: a type, an object with a ``type``, or a timer (``Schedule``) that is due.

    Returns the snapshot at rest and the commands in order, and the very same snapshot where
    nothing changed. An exception in a guard or an action, and a chart that does not come to rest,
    discard the macrostep: the snapshot keeps states and context, its ``status`` is ``error``, its
    ``error`` says why, and there are no commands. A chart that ended ignores events, and a timer
    that is no longer pending changes nothing.
    """
    if snapshot.end is not None:
        return snapshot, ()
    program = chart.compiled
    configuration = snapshot.configuration
    if configuration.program is not program:
        configuration = program.adopt(configuration)
    if type(event) is Schedule:
        if event not in snapshot.past.timers:
            return snapshot, ()
        return _step(chart, snapshot, _without(snapshot.past, event), event.event)
    if type(event) is str:
        kind = event
    else:
        event = heard(event)
        kind = program.type_of(event)
    try:
        shortcut = configuration.shortcuts[kind]
    except KeyError:
        shortcut = program.shortcut(configuration, kind)
    if shortcut is None:
        past = snapshot.past
        if past.timers and kind.startswith(AFTER_PREFIX):
            past = _without(past, kind)
        return _step(chart, snapshot, past, heard(event))
    if shortcut.configuration is None:
        return snapshot, shortcut.commands
    return Snapshot(shortcut.configuration, snapshot.context, snapshot.past), shortcut.commands


def can(chart: Chart[C], snapshot: Snapshot[C], event: object) -> bool:
    """Say whether *event* would be taken by a transition with a target or an action.

    An event whose guard raises cannot be taken, a timer only while it is pending, and nothing
    can after the end.
    """
    if snapshot.end is not None:
        return False
    program = chart.compiled
    if type(event) is Schedule:
        if event not in snapshot.past.timers:
            return False
        event = event.event
    run = _run(program, snapshot, heard(event))
    try:
        edges = _selected(run, program)
    except Exception:  # noqa: BLE001
        return False
    return any(edge.targets is not None or edge.ops for edge in edges)


def _step(
    chart: Chart[C], snapshot: Snapshot[C], past: Past, event: object
) -> tuple[Snapshot[C], tuple[Command, ...]]:
    """Walk the step: select, microstep, and on to rest. *past* is without the timer that is due."""
    program = chart.compiled
    run = _run(program, snapshot, event)
    try:
        edges = _selected(run, program)
        if edges:
            _microstep(run, program, program.plan(run.configuration, edges, run.records))
        fault = _settle(run, program, chart.limit) if edges else _unheard(run, program, chart.limit)
    except Exception as error:  # noqa: BLE001
        fault = _fault(run, program, error)
    if fault is not None:
        ended = Ended(fault=fault)
        kept = Past(past.records) if past.timers else past
        return Snapshot(snapshot.configuration, snapshot.context, kept, ended), ()
    after: Snapshot[C]
    after, commands = _rest(run, past)
    if not run.changed and after.past == snapshot.past:
        return snapshot, commands
    return after, commands


def _run(program: Program, snapshot: Snapshot[C], event: object) -> Run:
    configuration = snapshot.configuration
    if configuration.program is not program:
        configuration = program.adopt(configuration)
    return Run(program.compiler, configuration, snapshot.context, event, snapshot.past.records)


def _selected(run: Run, program: Program) -> tuple[Edge, ...]:
    selection = program.selection(run.configuration, program.type_of(run.event))
    if selection.constant is not None:
        return selection.constant
    return select(selection.steps, run)


def _microstep(run: Run, program: Program, plan: Plan) -> bool:
    """Take one microstep, and say whether it changed anything (semantics section 5.8)."""
    run.assigned = False
    perform(run, plan.ops)
    if plan.records:
        run.records = {**run.records, **plan.records}
    if plan.moved:
        run.configuration = program.configuration(plan.mask, plan.leaves)
    changed = plan.moved or run.assigned or run.ended is not None
    run.changed = run.changed or changed
    return changed


def _settle(run: Run, program: Program, limit: int) -> Fault | None:
    """Take eventless transitions, then raised events, until nothing is left (section 5.9).

    A round of eventless transitions that changed nothing is not asked again before the next
    raised event, which is what ends an ``always`` that only logs.
    """
    first, ask, taken = program.type_of(run.event), True, 0
    trail: list[str] = []
    while run.ended is None:
        always = run.configuration.always
        edges = eventless(always, run) if ask and always else ()
        raised = not edges
        if raised:
            if not run.queue:
                return None
            run.event = run.queue.popleft()
            edges = _selected(run, program)
        taken += 1
        if taken > limit - LOOP_LENGTH_MAX:
            trail.extend(edge.label for edge in edges)
            if taken > limit:
                return LoopFault(first, limit, _loop(trail))
        changed = bool(edges) and _microstep(
            run, program, program.plan(run.configuration, edges, run.records)
        )
        ask = changed or raised
    return None


def _unheard(run: Run, program: Program, limit: int) -> Fault | None:
    kind = program.type_of(run.event)
    if kind.startswith(ACTOR_ERROR_PREFIX):
        return UnhandledFault(kind, repr(run.event))
    return _settle(run, program, limit)


def _rest(run: Run, past: Past) -> tuple[Snapshot[Any], tuple[Command, ...]]:
    timers = _timers(past.timers, run.commands) if run.timed else past.timers
    if run.ended is not None:
        timers = ()
    if run.records is not past.records or timers != past.timers:
        past = Past(run.records, timers) if run.records or timers else NO_PAST
    return Snapshot(run.configuration, run.context, past, run.ended), tuple(run.commands)


def _timers(timers: tuple[Schedule, ...], commands: list[Command]) -> tuple[Schedule, ...]:
    pending = list(timers)
    for command in commands:
        if isinstance(command, Schedule):
            pending.append(command)
        elif isinstance(command, Cancel):
            pending = [timer for timer in pending if timer.id != command.id]
    return tuple(pending)


def _without(past: Past, due: Schedule | str) -> Past:
    """Take a timer that is due, or all with its id, off those that are pending."""
    if isinstance(due, str):
        timers = tuple(timer for timer in past.timers if timer.id != due)
        return past if len(timers) == len(past.timers) else Past(past.records, timers)
    at = past.timers.index(due)
    return Past(past.records, past.timers[:at] + past.timers[at + 1 :])


def _fault(run: Run, program: Program, error: Exception) -> Fault:
    event = program.type_of(run.event)
    at = run.at
    if isinstance(at, Edge):
        state = program.tree.nodes[at.source].id
        return GuardFault(spoken(at.definition.guard), state, event, reason(error), error)
    return ActionFault("context" if at is None else at.label, event, reason(error), error)


def _loop(trail: list[str]) -> tuple[str, ...]:
    """Find the shortest run of labels that the end of *trail* repeats."""
    for length in range(1, len(trail) // 2 + 1):
        if trail[-length:] == trail[-2 * length : -length]:
            return tuple(trail[-length:])
    return tuple(trail)
