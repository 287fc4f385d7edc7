"""Macrostep: the mutable state of one macrostep, and the running of its ops.

This is the only state in the package that changes in place. It lives no longer than the call that
created it.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.configuration import Configuration
from arvo.statechart.compiled.ops import Compiler, Op, build_command, expand, resolve, to_event
from arvo.statechart.definition.actions import Raise
from arvo.statechart.definition.commands import Command
from arvo.statechart.definition.events import Done
from arvo.statechart.execution.snapshot import End


class Macrostep:
    """A macrostep in progress: the configuration and context so far, and the commands made."""

    __slots__ = (
        "assigned",
        "changed",
        "commands",
        "compiler",
        "configuration",
        "context",
        "current",
        "end",
        "event",
        "internal_queue",
        "records",
        "timers_changed",
    )

    def __init__(
        self,
        compiler: Compiler,
        configuration: Configuration,
        context: Any,
        event: Any,
        records: Mapping[int, int],
    ) -> None:
        self.compiler = compiler
        self.configuration = configuration
        self.context = context
        self.event = event
        self.records = records
        self.commands: list[Command] = []
        self.internal_queue: deque[Any] = deque()
        self.current: Op | Edge | None = None  # the last op run or guard evaluated, for faults
        self.end: End | None = None
        self.assigned = False  # in this microstep
        self.changed = False  # in any microstep
        self.timers_changed = False  # an op may have started or stopped timers


def run_ops(macrostep: Macrostep, ops: tuple[Op, ...]) -> None:
    """Run *ops* in order; each sees the context that the ones before it made."""
    for op in ops:
        macrostep.current = op
        if op.changes_timers:
            macrostep.timers_changed = True
        _RUN[op.code](macrostep, op)


def _commands(macrostep: Macrostep, op: Op) -> None:
    macrostep.commands.extend(op.value)


def _assign(macrostep: Macrostep, op: Op) -> None:
    macrostep.context = op.value(macrostep.context, macrostep.event)
    # An equal context counts as well: a comparison would cost every assign, and XState makes none.
    macrostep.assigned = True


def _template(macrostep: Macrostep, op: Op) -> None:
    command = build_command(op.value, macrostep.context, macrostep.event)
    if isinstance(command, Raise):
        macrostep.internal_queue.append(command.event)
    else:
        macrostep.commands.append(command)


def _raise(macrostep: Macrostep, op: Op) -> None:
    macrostep.internal_queue.append(op.value)


def _raise_computed(macrostep: Macrostep, op: Op) -> None:
    event = op.value(macrostep.context, macrostep.event)
    macrostep.internal_queue.append(to_event(event))


def _done(macrostep: Macrostep, op: Op) -> None:
    event_type, output = op.value
    event = Done(event_type, resolve(output, macrostep.context, macrostep.event))
    macrostep.internal_queue.append(event)


def _finish(macrostep: Macrostep, op: Op) -> None:
    event_type, own_output, output = op.value
    if output is None:
        macrostep.end = End()
        return
    event = Done(event_type, resolve(own_output, macrostep.context, macrostep.event))
    macrostep.end = End(resolve(output, macrostep.context, event))


def _choose(macrostep: Macrostep, op: Op) -> None:
    for guard, ops in op.value:
        if guard is None or guard(macrostep.context, macrostep.event, macrostep.configuration):
            run_ops(macrostep, ops)
            return


def _expand(macrostep: Macrostep, op: Op) -> None:
    actions = expand(op.value, macrostep.context, macrostep.event)
    run_ops(macrostep, macrostep.compiler.compile(actions, op.label))


# By position in the order of Code: an enum member as a dict key calls Python for its hash.
_RUN: tuple[Callable[[Macrostep, Op], None], ...] = (
    _commands,
    _assign,
    _template,
    _raise,
    _raise_computed,
    _done,
    _finish,
    _choose,
    _expand,
)
