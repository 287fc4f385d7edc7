"""Params: the params that a config passes to the implementations of its actions and guards."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from arvo.statechart.compiled.ops import is_function
from arvo.statechart.definition.actions import (
    Action,
    Assign,
    Branch,
    Choose,
    CommandTemplate,
    NamedAction,
    Raise,
)
from arvo.statechart.definition.guards import And, Guard, Not, Or


@frozen
class WithParams:
    """A function that takes *params* as its third argument; *params* may be a function too."""

    function: Callable[..., Any]
    params: object

    def __call__(self, context: object, event: object) -> Any:
        """Call the function with the params for *context* and *event*."""
        params = self.params(context, event) if callable(self.params) else self.params
        return self.function(context, event, params)


def bind_action(action: Action | Callable[..., Any], params: object) -> Action:
    """Pass *params* to every function in *action*."""
    match action:
        case Assign(update=Mapping() as update):
            return Assign({name: _bind(value, params) for name, value in update.items()})
        case Assign(update=update):
            return Assign(_bind(update, params))
        case Raise(event=event):
            return Raise(_bind(event, params))
        case CommandTemplate(kind=kind, parts=parts):
            return CommandTemplate(kind, tuple(_bind(part, params) for part in parts))
        case Choose(branches=branches):
            return Choose(tuple(_bind_branch(branch, params) for branch in branches))
        case NamedAction(name=name, params=own, action=inner):
            return NamedAction(name, own, bind_action(inner, params))
        case _:
            bound: Action = _bind(action, params)
            return bound


def _bind_branch(branch: Branch, params: object) -> Branch:
    actions = tuple(bind_action(action, params) for action in branch.actions)
    return Branch(actions, _bind_guard(branch.guard, params))


def _bind_guard(guard: Guard | None, params: object) -> Guard | None:
    match guard:
        case And(guards=guards):
            return And(tuple(_bind(_bind_guard(part, params), params) for part in guards))
        case Or(guards=guards):
            return Or(tuple(_bind(_bind_guard(part, params), params) for part in guards))
        case Not(guard=inner):
            return Not(_bind(_bind_guard(inner, params), params))
        case _:
            bound: Guard | None = _bind(guard, params)
            return bound


def _bind(part: Any, params: object) -> Any:
    # A part that is bound already has params of its own.
    if isinstance(part, WithParams) or not is_function(part):
        return part
    return WithParams(part, params)
