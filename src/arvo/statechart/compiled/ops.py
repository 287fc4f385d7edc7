"""Ops: compiled actions; commands that are constant are built once and shared."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import IntEnum
from typing import Any

from attrs import evolve, field, frozen

from arvo.statechart.compiled.compiled_guards import (
    CompiledGuard,
    check_arguments,
    compile_guard,
    display_name,
)
from arvo.statechart.compiled.tree import Tree
from arvo.statechart.definition.actions import (
    Action,
    Assign,
    Choose,
    CommandTemplate,
    Delay,
    Expression,
    NamedAction,
    Raise,
    to_actions,
)
from arvo.statechart.definition.commands import Act, Cancel, Command, Emit, Schedule, Send
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.guards import Guard
from arvo.statechart.definition.state import DelayKey

# The strings that JavaScript reads as a number; Python's float also takes "1_000", "inf" and
# spaces.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Code(IntEnum):
    """The meaning of an op's value. ``macrostep`` runs ops by position in the same order."""

    COMMANDS = 0  # a tuple of finished commands
    ASSIGN = 1  # a function that returns the new context
    TEMPLATE = 2  # a CommandTemplate with functions among its parts
    RAISE = 3  # a finished event
    RAISE_COMPUTED = 4  # a function that returns an event
    DONE = 5  # (event type, output): a state is finished
    FINISH = 6  # (event type, its output, the chart's output): the chart is finished
    CHOOSE = 7  # pairs of guard and ops
    EXPAND = 8  # a function that returns actions


@frozen(eq=False)
class Op:
    """One thing to run. *label* is its place in the chart, for faults."""

    code: Code
    value: Any
    label: str
    changes_timers: bool = False  # it may start or stop timers
    assigned: tuple[str, ...] = ()  # the fields of the context that an assignment names


@frozen
class Compiler:
    """Compiles actions, which may refer to the states and the delays of one chart.

    *on_problem* is called with each reference that leads nowhere.
    """

    tree: Tree
    delays: Mapping[str, object]
    on_problem: Callable[[str], None] = field(eq=False)

    def compile(self, actions: Iterable[Action], label: str) -> tuple[Op, ...]:
        """Compile *actions* to ops; constant commands in a row become one op."""
        return merge_commands(op for action in actions for op in self._op(action, label))

    def delay(self, delay: object) -> object:
        """Resolve a delay to milliseconds, or to a function that returns them."""
        if isinstance(delay, timedelta):
            return milliseconds(delay)
        if is_function(delay):
            self._check("delay", delay)
        if isinstance(delay, str):
            named = self.delays.get(delay)
            if delay not in self.delays or isinstance(named, str):
                self.on_problem(f"the delay {delay!r} is not implemented: add it to delays")
                return None
            return self.delay(named)
        return delay

    def _op(self, action: object, label: str) -> tuple[Op, ...]:
        match action:
            case Assign(update=Mapping() as values):
                for name, value in values.items():
                    self._check(f"assign({name}=...)", value)
                op = Op(Code.ASSIGN, make_update(values), f"{label}: assign")
                return (evolve(op, assigned=tuple(values)),)
            case Assign(update=update):
                self._check("assign", update)
                return (Op(Code.ASSIGN, update, f"{label}: assign"),)
            case Raise(event=event):
                self._check("raise_", event)
                code = Code.RAISE_COMPUTED if is_function(event) else Code.RAISE
                return (Op(code, event if callable(event) else to_event(event), f"{label}: raise"),)
            case CommandTemplate():
                return (self._template(action, label),)
            case Choose(branches=branches):
                pairs = tuple(
                    (self._guard(branch.guard), self.compile(branch.actions, label))
                    for branch in branches
                )
                return (Op(Code.CHOOSE, pairs, f"{label}: choose", changes_timers=True),)
            case NamedAction(name=name, action=inner):
                ops = self._op(inner, label)
                return tuple(evolve(op, label=f"{label}: {name}") for op in ops)
            case Emit() | Send() | Schedule() | Cancel() | Act():
                timers = changes_timers(type(action))
                return (Op(Code.COMMANDS, (action,), label, changes_timers=timers),)
            case _ if callable(action):
                self._check("the action", action)
                expand_label = f"{label}: {display_name(action)}"
                return (Op(Code.EXPAND, action, expand_label, changes_timers=True),)
            case _:
                self.on_problem(f"{action!r} is not an action: use a function or an action value")
                return ()

    def _check(self, place: str, value: object) -> None:
        """Report a function that cannot be called with a context and an event."""
        if is_function(value):
            check_arguments(place, value, self.on_problem)

    def _guard(self, guard: Guard | None) -> CompiledGuard | None:
        return None if guard is None else compile_guard(guard, self.tree, self.on_problem)

    def _template(self, template: CommandTemplate, label: str) -> Op:
        kind, parts = template.kind, template.parts
        for part in parts:
            self._check(kind.__name__.lower(), part)
        if kind in (Send, Schedule):
            event, delay, timer = parts
            parts = (to_event(event), self.delay(delay), timer)
        label = f"{label}: {kind.__name__.lower()}"
        timers = changes_timers(kind)
        # A raise whose delay is None happens at once, which only the step can find out.
        if any(is_function(part) for part in parts) or (kind is Schedule and parts[1] is None):
            computed = evolve(template, parts=parts)
            return Op(Code.TEMPLATE, computed, label, changes_timers=timers)
        return Op(Code.COMMANDS, (kind(*parts),), label, changes_timers=timers)


def merge_commands(ops: Iterable[Op]) -> tuple[Op, ...]:
    """Merge constant commands in a row into one op."""
    merged: list[Op] = []
    for op in ops:
        if merged and op.code is Code.COMMANDS is merged[-1].code:
            last = merged[-1]
            timers = last.changes_timers or op.changes_timers
            merged[-1] = evolve(last, value=last.value + op.value, changes_timers=timers)
        else:
            merged.append(op)
    return tuple(merged)


def is_function(part: object) -> bool:
    """Return whether *part* is to be called. Classes are not: they are values."""
    return callable(part) and not isinstance(part, type)


def changes_timers(kind: type[object]) -> bool:
    """Return whether commands of class *kind* start or stop timers."""
    return kind in (Schedule, Cancel)


def to_event(event: object) -> object:
    """Return *event*, with a bare event type (perhaps a member of a StrEnum) made an ``Event``."""
    return Event(str.__str__(event)) if isinstance(event, str) else event


def parse_delay(key: DelayKey) -> tuple[str, Delay]:
    """Return the text of a key of ``after`` in its event type, and the delay that it stands for."""
    if isinstance(key, timedelta):
        key = milliseconds(key)
    if isinstance(key, str):
        if not _NUMBER.fullmatch(key):
            return key, key
        return key, _drop_zero_fraction(float(key))
    return str(_drop_zero_fraction(key)), _drop_zero_fraction(key)


def milliseconds(delay: timedelta) -> float:
    """Return *delay* in milliseconds, as an int if it is whole."""
    return _drop_zero_fraction(delay / timedelta(milliseconds=1))


def _drop_zero_fraction(number: float) -> float:
    return int(number) if float(number).is_integer() else number


def make_update(fields: Mapping[str, object]) -> Expression:
    """Make one update of the context from its *fields*, all of which see the old context."""

    def update(context: Any, event: Any) -> Any:
        changes = {name: resolve(value, context, event) for name, value in fields.items()}
        if isinstance(context, Mapping):
            return {**context, **changes}
        return evolve(context, **changes)

    return update


def resolve(value: Any, context: object, event: object) -> Any:
    """Return *value*, or its result for *context* and *event* if it is a function."""
    return value(context, event) if is_function(value) else value


def build_command(template: CommandTemplate, context: object, event: object) -> Command | Raise:
    """Build the command of *template*. A timer without a delay becomes an event to raise now."""
    parts = [resolve(part, context, event) for part in template.parts]
    if template.kind in (Send, Schedule):
        parts[0] = to_event(parts[0])
        if isinstance(parts[1], timedelta):
            parts[1] = milliseconds(parts[1])
        if template.kind is Schedule and parts[1] is None:
            return Raise(parts[0])
    return template.kind(*parts)


def expand(function: Expression, context: object, event: object) -> tuple[Action, ...]:
    """Call *function* for the actions to run; it may return None."""
    actions = function(context, event)
    return () if actions is None else to_actions(actions)
