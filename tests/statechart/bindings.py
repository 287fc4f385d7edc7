"""Bindings: the parts of a recorded machine as the functions that XState would get."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from arvo.statechart import (
    Assign,
    Branch,
    Choose,
    act,
    assign,
    choose,
    raise_,
)
from tests.statechart.expressions import evaluate, truthy
from tests.statechart.placeholders import fields, fill, parse_event

BUILT_IN = frozenset(("raise", "send", "emit", "cancel", "assign", "choose"))


def bind(config: Any) -> Any:
    """Replace the parts of *config* with placeholders by the functions that XState would get."""
    if isinstance(config, list):
        return [bind(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    if _is_dynamic(config):
        return lambda context, event: fill(config, context, event)
    match config.get("type"):
        case "choose" if "branches" in config:
            return _choose(config["branches"])
        case "assign" if "location" in config:
            return _assign(config)
        case "expr" if "expr" in config:
            return _plain_guard(config)
    bound: dict[str, Any] = {}
    for key, part in config.items():
        if key in ("params", "output", "delay") and _is_dynamic(part, deep=True):
            bound[key] = _function(part, lambda value: value)
        elif key == "event" and config.get("type") in BUILT_IN:
            shape = _identity if config.get("type") == "emit" else parse_event
            dynamic = _is_dynamic(part, deep=True)
            bound[key] = _function(part, shape) if dynamic else shape(part)
        elif key in ("params", "output", "meta"):
            bound[key] = part
        else:
            bound[key] = bind(part)
    return bound


def action_names(config: Any) -> Iterator[str]:
    """Iterate over the names of custom actions in *config*."""
    if isinstance(config, Mapping):
        for key in ("entry", "exit", "actions"):
            actions = config.get(key, ())
            for action in actions if isinstance(actions, list) else (actions,):
                if isinstance(action, str):
                    yield action
                elif isinstance(action, Mapping) and action["type"] not in BUILT_IN:
                    yield action["type"]
        for key, part in config.items():
            if key not in ("params", "meta", "output", "context"):
                yield from action_names(part)
    elif isinstance(config, list):
        for part in config:
            yield from action_names(part)


def _identity(value: Any) -> Any:
    return value


def _function(template: Any, shape: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda context, event: shape(fill(template, context, event))


def _is_dynamic(value: Any, *, deep: bool = False) -> bool:
    if isinstance(value, Mapping):
        own = len(value) == 1 and next(iter(value)).startswith("$")
        return own or (deep and any(_is_dynamic(part, deep=True) for part in value.values()))
    return deep and isinstance(value, list) and any(_is_dynamic(part, deep=True) for part in value)


def _choose(branches: list[Mapping[str, Any]]) -> Choose:
    return choose(
        *(
            Branch(
                [_plain_action(action) for action in branch["actions"]],
                _plain_guard(branch["guard"]) if "guard" in branch else None,
            )
            for branch in branches
        )
    )


def _plain_guard(guard: Mapping[str, Any]) -> Callable[[Any, Any], bool]:
    expression = guard["expr"]
    return lambda context, event: truthy(evaluate(expression, context, fields(event)))


def _plain_action(action: Any) -> Any:
    match action:
        case {"type": "assign"}:
            return _assign(action)
        case {"type": "choose", "branches": branches}:
            return _choose(branches)
        case {"type": "raise", "event": event}:
            return raise_(parse_event(event))
        case {"type": name}:
            return act(name, action.get("params"))
        case name:
            return act(name)


def _assign(action: Mapping[str, Any]) -> Assign:
    location, expression = action["location"], action["expr"]
    return assign(lambda c, e: {**c, location: evaluate(expression, c, fields(e))})
