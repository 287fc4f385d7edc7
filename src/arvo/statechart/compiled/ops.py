"""Ops: actions compiled to what the step runs, constants built once and shared."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import IntEnum
from typing import Any

from attrs import evolve, field, frozen

from arvo.statechart.compiled.compiled_guards import Test, question, spoken
from arvo.statechart.compiled.tree import Tree
from arvo.statechart.definition.actions import (
    Action,
    Assign,
    Choose,
    Make,
    Maker,
    Named,
    Raise,
    listed,
)
from arvo.statechart.definition.commands import Act, Cancel, Command, Emit, Schedule, Send
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.guards import Guard


class Code(IntEnum):
    """What an op does with its value; `run` performs them by position in the same order."""

    COMMANDS = 0  # a tuple of finished commands
    ASSIGN = 1  # a function to the new context
    MAKE = 2  # a Make with functions among its parts
    RAISE = 3  # a finished event
    RAISE_MADE = 4  # a function to an event
    DONE = 5  # (event type, output): a state is finished
    FINISH = 6  # (event type, its output, the chart's output): the chart is finished
    CHOOSE = 7  # pairs of test and ops
    EXPAND = 8  # a function to actions


@frozen(eq=False)
class Op:
    """One thing to run; *label* says where it stands, for faults."""

    code: Code
    value: Any
    label: str
    timed: bool = False  # it starts or stops timers


@frozen
class Compiler:
    """What the actions of one chart may refer to."""

    tree: Tree
    delays: Mapping[str, object]
    problem: Callable[[str], None] = field(eq=False)

    def compile(self, actions: Iterable[Action], label: str) -> tuple[Op, ...]:
        """Turn *actions* into ops; neighbouring constant commands become one."""
        return merged(op for action in actions for op in self._op(action, label))

    def delay(self, delay: object) -> object:
        """Turn a delay into milliseconds, or into a function to them."""
        if isinstance(delay, timedelta):
            return milliseconds(delay)
        if isinstance(delay, str):
            named = self.delays.get(delay)
            if delay not in self.delays or isinstance(named, str):
                self.problem(f"the delay {delay!r} is not implemented")
                return None
            return self.delay(named)
        return delay

    def _op(self, action: object, label: str) -> tuple[Op, ...]:
        match action:
            case Assign(update=update):
                assign = patch(update) if isinstance(update, Mapping) else update
                return (Op(Code.ASSIGN, assign, f"{label}: assign"),)
            case Raise(event=event):
                code = Code.RAISE_MADE if is_function(event) else Code.RAISE
                return (Op(code, event if callable(event) else heard(event), f"{label}: raise"),)
            case Make():
                return (self._make(action, label),)
            case Choose(branches=branches):
                pairs = tuple(
                    (self._question(branch.guard), self.compile(branch.actions, label))
                    for branch in branches
                )
                return (Op(Code.CHOOSE, pairs, f"{label}: choose", timed=True),)
            case Named(name=name, action=inner):
                ops = self._op(inner, label)
                return tuple(evolve(op, label=f"{label}: {name}") for op in ops)
            case Emit() | Send() | Schedule() | Cancel() | Act():
                return (Op(Code.COMMANDS, (action,), label, timed=is_timed(type(action))),)
            case _ if callable(action):
                expand = f"{label}: {spoken(action)}"
                return (Op(Code.EXPAND, action, expand, timed=True),)
            case _:
                self.problem(f"{action!r} is not an action")
                return ()

    def _question(self, guard: Guard | None) -> Test | None:
        return None if guard is None else question(guard, self.tree, self.problem)

    def _make(self, make: Make, label: str) -> Op:
        parts = make.parts
        if make.kind in (Send, Schedule):
            event, delay, timer = parts
            parts = (heard(event), self.delay(delay), timer)
        made = evolve(make, parts=parts)
        label = f"{label}: {make.kind.__name__.lower()}"
        # A delay of nothing means now, so such a timer has to be looked at when it runs.
        if any(is_function(part) for part in parts) or (make.kind is Schedule and parts[1] is None):
            return Op(Code.MAKE, made, label, timed=is_timed(make.kind))
        return Op(Code.COMMANDS, (make.kind(*parts),), label, timed=is_timed(make.kind))


def merged(ops: Iterable[Op]) -> tuple[Op, ...]:
    """Join neighbouring constant commands into one op."""
    out: list[Op] = []
    for op in ops:
        if out and op.code is Code.COMMANDS is out[-1].code:
            last = out[-1]
            out[-1] = evolve(last, value=last.value + op.value, timed=last.timed or op.timed)
        else:
            out.append(op)
    return tuple(out)


def is_function(part: object) -> bool:
    """Say whether *part* is to be called, rather than handed on: classes are handed on."""
    return callable(part) and not isinstance(part, type)


def is_timed(kind: type[object]) -> bool:
    """Say whether commands of *kind* change which timers are pending."""
    return kind in (Schedule, Cancel)


def heard(event: object) -> object:
    """Make an event of a bare event type, which may be a member of an enum of strings."""
    return Event(str.__str__(event)) if isinstance(event, str) else event


def milliseconds(delay: timedelta) -> float:
    """Count *delay* in milliseconds, whole where it is whole."""
    exact = delay / timedelta(milliseconds=1)
    return int(exact) if exact.is_integer() else exact


def patch(fields: Mapping[str, object]) -> Maker:
    """Make an update out of single *fields*, all of which see the old context."""

    def update(context: Any, event: Any) -> Any:
        changes = {name: resolved(value, context, event) for name, value in fields.items()}
        if isinstance(context, Mapping):
            return {**context, **changes}
        return evolve(context, **changes)

    return update


def resolved(value: Any, context: object, event: object) -> Any:
    """Call *value* with what is going on, if it is a function."""
    return value(context, event) if is_function(value) else value


def made(make: Make, context: object, event: object) -> Command | Raise:
    """Finish *make*; a timer without a delay is an event to raise now."""
    parts = [resolved(part, context, event) for part in make.parts]
    if make.kind in (Send, Schedule):
        parts[0] = heard(parts[0])
        if isinstance(parts[1], timedelta):
            parts[1] = milliseconds(parts[1])
        if make.kind is Schedule and parts[1] is None:
            return Raise(parts[0])
    return make.kind(*parts)


def expanded(function: Maker, context: object, event: object) -> tuple[Action, ...]:
    """Ask *function* which actions to run; it may also say none."""
    actions = function(context, event)
    return () if actions is None else listed(actions)
