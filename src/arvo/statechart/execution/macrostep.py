"""Run: one macrostep under way, and how its ops are performed.

The only thing in this room that changes in place; it lives no longer than the call that made it.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.configuration import Configuration
from arvo.statechart.compiled.ops import Compiler, Op, expanded, heard, made, resolved
from arvo.statechart.definition.actions import Raise
from arvo.statechart.definition.commands import Command
from arvo.statechart.definition.events import Done
from arvo.statechart.execution.snapshot import Ended


class Run:
    """What a macrostep has come to so far."""

    __slots__ = (
        "assigned",
        "at",
        "changed",
        "commands",
        "compiler",
        "configuration",
        "context",
        "ended",
        "event",
        "queue",
        "records",
        "timed",
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
        self.queue: deque[Any] = deque()
        self.at: Op | Edge | None = None  # what was asked or done last, for faults
        self.ended: Ended | None = None
        self.assigned = False  # in this microstep
        self.changed = False  # in any microstep
        self.timed = False  # timers were started or stopped


def perform(run: Run, ops: tuple[Op, ...]) -> None:
    """Perform *ops* in order; each sees the context that those before it left."""
    for op in ops:
        run.at = op
        if op.timed:
            run.timed = True
        _PERFORM[op.code](run, op)


def _commands(run: Run, op: Op) -> None:
    run.commands.extend(op.value)


def _assign(run: Run, op: Op) -> None:
    run.context = op.value(run.context, run.event)
    # Even an equal context counts: comparing would cost every assign, and XState does not.
    run.assigned = True


def _make(run: Run, op: Op) -> None:
    command = made(op.value, run.context, run.event)
    if isinstance(command, Raise):
        run.queue.append(command.event)
    else:
        run.commands.append(command)


def _raise(run: Run, op: Op) -> None:
    run.queue.append(op.value)


def _raise_made(run: Run, op: Op) -> None:
    run.queue.append(heard(op.value(run.context, run.event)))


def _done(run: Run, op: Op) -> None:
    event_type, output = op.value
    run.queue.append(Done(event_type, resolved(output, run.context, run.event)))


def _finish(run: Run, op: Op) -> None:
    event_type, own, output = op.value
    if output is None:
        run.ended = Ended()
        return
    event = Done(event_type, resolved(own, run.context, run.event))
    run.ended = Ended(resolved(output, run.context, event))


def _choose(run: Run, op: Op) -> None:
    for test, ops in op.value:
        if test is None or test(run.context, run.event, run.configuration):
            perform(run, ops)
            return


def _expand(run: Run, op: Op) -> None:
    actions = expanded(op.value, run.context, run.event)
    perform(run, run.compiler.compile(actions, op.label))


# By position, as Code counts: looking an enum member up in a dict calls Python for its hash.
_PERFORM: tuple[Callable[[Run, Op], None], ...] = (
    _commands,
    _assign,
    _make,
    _raise,
    _raise_made,
    _done,
    _finish,
    _choose,
    _expand,
)
