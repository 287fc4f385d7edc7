"""Questions: guards compiled to plain functions of context, event and configuration."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from arvo.statechart.compiled.tree import ROOT, Tree
from arvo.statechart.definition.guards import (
    And,
    Check,
    Guard,
    Not,
    Or,
    StateIn,
    StateValue,
    matches,
)


class Active(Protocol):
    """What a guard may ask of a configuration."""

    @property
    def mask(self) -> int:
        """The active nodes, as a set."""

    @property
    def value(self) -> StateValue:
        """The state value."""


Test: TypeAlias = Callable[[Any, Any, Any], Any]


def question(guard: Guard, tree: Tree, problem: Callable[[str], None]) -> Test:
    """Compile *guard* and tell *problem* of ids that do not exist.

    What a guard raises is left to the step to report.
    """
    match guard:
        case And(guards=guards):
            return _all([question(one, tree, problem) for one in guards])
        case Or(guards=guards):
            return _any([question(one, tree, problem) for one in guards])
        case Not(guard=inner):
            test = question(inner, tree, problem)
            return lambda context, event, active: not test(context, event, active)
        case StateIn(state=state):
            return _state_in(state, tree, problem)
        case Check(function=function):
            return lambda context, event, _: function(context, event)
        case _:
            return lambda context, event, _: guard(context, event)


def _all(tests: list[Test]) -> Test:
    def test(context: Any, event: Any, active: Active) -> bool:
        return all(one(context, event, active) for one in tests)

    return test


def _any(tests: list[Test]) -> Test:
    def test(context: Any, event: Any, active: Active) -> bool:
        return any(one(context, event, active) for one in tests)

    return test


def _state_in(state: StateValue, tree: Tree, problem: Callable[[str], None]) -> Test:
    if isinstance(state, str) and state.startswith("#"):
        # As in a target, children may follow the id.
        index = tree.find(ROOT, state)
        if index is None:
            problem(f"a guard asks for {state!r}, which does not exist")
        bit = 0 if index is None else 1 << index
        return lambda _context, _event, active: active.mask & bit
    return lambda _context, _event, active: matches(active.value, state)


def spoken(guard: object) -> str:
    """Name a guard or a function the way its author would."""
    match guard:
        case And(guards=guards):
            return f"and({', '.join(spoken(one) for one in guards)})"
        case Or(guards=guards):
            return f"or({', '.join(spoken(one) for one in guards)})"
        case Not(guard=inner):
            return f"not({spoken(inner)})"
        case StateIn(state=state):
            return f"in({state})"
        case Check(name=name):
            return name
        case _:
            return getattr(guard, "__name__", type(guard).__name__)
