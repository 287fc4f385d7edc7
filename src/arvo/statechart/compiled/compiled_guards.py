"""Compiled guards: guards as plain functions of context, event and active states."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, Protocol, TypeAlias

from arvo.statechart.compiled.tree import ROOT, Tree
from arvo.statechart.definition.guards import (
    And,
    Guard,
    NamedGuard,
    Not,
    Or,
    StateIn,
    StateValue,
    matches,
)


class ActiveStates(Protocol):
    """The part of a configuration that a guard may read."""

    @property
    def mask(self) -> int:
        """The active nodes, as a node set."""

    @property
    def value(self) -> StateValue:
        """The state value."""


CompiledGuard: TypeAlias = Callable[[Any, Any, Any], Any]


def compile_guard(guard: Guard, tree: Tree, on_problem: Callable[[str], None]) -> CompiledGuard:
    """Compile *guard*, and call *on_problem* for each id that does not exist.

    An exception of the guard passes through; the step turns it into a ``GuardFault``.
    """
    match guard:
        case And(guards=guards):
            return _all([compile_guard(part, tree, on_problem) for part in guards])
        case Or(guards=guards):
            return _any([compile_guard(part, tree, on_problem) for part in guards])
        case Not(guard=inner):
            compiled = compile_guard(inner, tree, on_problem)
            return lambda context, event, active: not compiled(context, event, active)
        case StateIn(state=state):
            return _state_in(state, tree, on_problem)
        case NamedGuard(function=function):
            return lambda context, event, _: function(context, event)
        case _:
            check_arguments("the guard", guard, on_problem)
            return lambda context, event, _: guard(context, event)


def check_arguments(place: str, function: object, on_problem: Callable[[str], None]) -> None:
    """Report a function that cannot be called with a context and an event.

    *place* is where the chart names it, such as "the guard".
    """
    if isinstance(function, FunctionType):
        code = function.__code__
        # Most functions: a chart may have hundreds, and a signature takes long to read.
        if code.co_argcount == 2 and not code.co_kwonlyargcount:
            return
    if not callable(function):
        on_problem(f"{place} is {function!r}: use a function of context and event")
        return
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some callables that are written in C have none.
        return
    try:
        signature.bind(None, None)
    except TypeError:
        got = f"{display_name(function)}{signature}"
        on_problem(f"{place} is {got}: use a function of context and event")


def _all(guards: list[CompiledGuard]) -> CompiledGuard:
    def guard(context: Any, event: Any, active: ActiveStates) -> bool:
        return all(part(context, event, active) for part in guards)

    return guard


def _any(guards: list[CompiledGuard]) -> CompiledGuard:
    def guard(context: Any, event: Any, active: ActiveStates) -> bool:
        return any(part(context, event, active) for part in guards)

    return guard


def _state_in(state: StateValue, tree: Tree, on_problem: Callable[[str], None]) -> CompiledGuard:
    if isinstance(state, str) and state.startswith("#"):
        # As in a target, keys of children may follow the id.
        index = tree.find(ROOT, state)
        if index is None:
            on_problem(f"the guard state_in({state!r}) names no state: use an id of this chart")
        bit = 0 if index is None else 1 << index
        return lambda _context, _event, active: active.mask & bit
    return lambda _context, _event, active: matches(active.value, state)


def display_name(value: object) -> str:
    """Return the name of a guard or a function as its author would write it."""
    match value:
        case And(guards=guards):
            return f"and({', '.join(display_name(part) for part in guards)})"
        case Or(guards=guards):
            return f"or({', '.join(display_name(part) for part in guards)})"
        case Not(guard=inner):
            return f"not({display_name(inner)})"
        case StateIn(state=state):
            return f"in({state})"
        case NamedGuard(name=name):
            return name
        case _:
            return getattr(value, "__name__", type(value).__name__)
