"""Corpora: machines recorded from XState, turned into charts of ours.

The folder comes from ``ARVO_STATECHARTS``, else it is the shared one beside the project, else the
small sample in ``tests/data``. What a folder lacks is not run. Its README says what the JSON means.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from arvo.statechart import (
    Act,
    Assign,
    Branch,
    Cancel,
    Chart,
    Choose,
    Command,
    Done,
    Emit,
    Event,
    Init,
    Schedule,
    Send,
    act,
    assign,
    choose,
    from_xstate,
    raise_,
)
from tests.statechart.expressions import UNDEFINED, evaluate, same, truthy

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared" / "statecharts"
SAMPLE = PROJECT / "tests" / "data" / "statecharts"


def folder() -> Path:
    """Say where the corpora are."""
    given = os.environ.get("ARVO_STATECHARTS")
    if given:
        return Path(given)
    return SHARED if SHARED.is_dir() else SAMPLE


def differential() -> list[tuple[int, dict[str, Any]]]:
    """Read the recorded machines, each with the number of its line."""
    path = folder() / "differential.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(number, json.loads(line)) for number, line in enumerate(lines, 1) if line.strip()]


def scenarios(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Read the scenarios of one *kind*, each with the name of its file."""
    files = sorted((folder() / kind).glob("*.json"))
    return [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in files]


def chart_of(machine: Mapping[str, Any], case: Mapping[str, Any], *, memory: int) -> Chart[Any]:
    """Turn a recorded *machine* into a chart that remembers at most *memory*."""
    config = dict(_bound(machine))
    context = machine.get("context", {})
    config["context"] = lambda given: filled(context, {}, Init(given))
    names = set(_names(config))
    delays = {name: _bound(delay) for name, delay in case.get("delays", {}).items()}
    return from_xstate(
        config,
        actions={name: action for name, action in ACTIONS.items() if name in names},
        guards=GUARDS,
        delays=delays,
        commands=names - ACTIONS.keys(),
        memory=memory,
    )


def filled(template: Any, context: Mapping[str, Any], event: object) -> Any:
    """Replace the placeholders in *template* by what they stand for now."""
    if isinstance(template, list):
        return [filled(part, context, event) for part in template]
    if not isinstance(template, Mapping):
        return template
    match dict(template):
        case {"$ctx": str(key), **rest} if not rest:
            return context.get(key)
        case {"$event": str(key), **rest} if not rest:
            return fields(event).get(key)
        case {"$input": str(key), **rest} if not rest:
            return (fields(event).get("input") or {}).get(key)
        case {"$expr": expression, **rest} if not rest:
            return evaluate(expression, context, fields(event))
        case {"$delayExpr": expression, **rest} if not rest:
            return _milliseconds(evaluate(expression, context, fields(event)))
        case plain:
            return {key: filled(part, context, event) for key, part in plain.items()}


def fields(event: Any) -> Mapping[str, Any]:
    """Show *event* as the flat object that XState's guards and actions see."""
    match event:  # what our own engine hands out, and nothing else
        case Event(type=kind, data=data):
            return {"type": kind, **(data if isinstance(data, Mapping) else {})}
        case Done(type=kind, output=output):
            return {"type": kind, "output": output}
        case Init(input=given, type=kind):
            return {"type": kind, "input": given}
        case _:
            raise TypeError(event)


def event_of(flat: Mapping[str, Any]) -> Event:
    """Make an event of XState's flat object."""
    return Event(flat["type"], {key: value for key, value in flat.items() if key != "type"})


def written(command: Command) -> Any:
    """Write *command* the way the corpora do."""
    match command:
        case Act(type=name, params=None):
            return name
        case Act(type=name, params=params):
            return [name, params]
        case Emit(event=event):
            return ["@emit", event]
        case Schedule(event=event, delay_ms=delay, id=timer):
            return ["@raise", fields(event), delay, timer]
        case Send(event=event, delay_ms=delay, id=timer):
            return ["@send", fields(event), delay, timer]
        case Cancel(id=timer):
            return ["@cancel", timer]


def _bound(config: Any) -> Any:
    """Turn every part of *config* that has placeholders into the function that XState would get."""
    if isinstance(config, list):
        return [_bound(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    if _is_dynamic(config):
        return lambda context, event: filled(config, context, event)
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
            shape = _identity if config.get("type") == "emit" else event_of
            dynamic = _is_dynamic(part, deep=True)
            bound[key] = _function(part, shape) if dynamic else shape(part)
        elif key in ("params", "output", "meta"):
            bound[key] = part
        else:
            bound[key] = _bound(part)
    return bound


def _identity(value: Any) -> Any:
    return value


def _function(template: Any, shape: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda context, event: shape(filled(template, context, event))


def _is_dynamic(value: Any, *, deep: bool = False) -> bool:
    if isinstance(value, Mapping):
        own = len(value) == 1 and next(iter(value)).startswith("$")
        return own or (deep and any(_is_dynamic(part, deep=True) for part in value.values()))
    return deep and isinstance(value, list) and any(_is_dynamic(part, deep=True) for part in value)


def _names(config: Any) -> Iterator[str]:
    """Walk the names of custom actions in *config*."""
    if isinstance(config, Mapping):
        for key in ("entry", "exit", "actions"):
            listed = config.get(key, ())
            for action in listed if isinstance(listed, list) else (listed,):
                if isinstance(action, str):
                    yield action
                elif isinstance(action, Mapping) and action["type"] not in BUILT_IN:
                    yield action["type"]
        for key, part in config.items():
            if key not in ("params", "meta", "output", "context"):
                yield from _names(part)
    elif isinstance(config, list):
        for part in config:
            yield from _names(part)


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
            return raise_(event_of(event))
        case {"type": name}:
            return act(name, action.get("params"))
        case name:
            return act(name)


def _assign(action: Mapping[str, Any]) -> Assign:
    location, expression = action["location"], action["expr"]
    return assign(lambda c, e: {**c, location: evaluate(expression, c, fields(e))})


def _milliseconds(text: Any) -> Any:
    found = re.fullmatch(r"([\d.]+)(ms|s)", text) if isinstance(text, str) else None
    return text if found is None else float(found[1]) * (1000 if found[2] == "s" else 1)


def _increment(context: Any, event: Any, params: Any) -> Any:
    old = context.get(params["key"])
    number = old if isinstance(old, int | float) and not isinstance(old, bool) else 0
    return {**context, params["key"]: number + (params.get("by") or 1)}


def _set(context: Any, event: Any, params: Any) -> Any:
    value = params.get("value")
    return {**context, params["key"]: None if value is UNDEFINED else value}


def _boom(context: Any, event: Any, params: Any = None) -> Any:
    raise RuntimeError("boom")


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Any], bool]:
    def guard(context: Any, event: Any, params: Any) -> bool:
        value, wanted = context.get(params["key"]), params["value"]
        numbers = all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in (value, wanted)
        )
        return numbers and test(value, wanted)

    return guard


def _modulo(context: Any, event: Any, params: Any) -> bool:
    value = context.get(params["key"])
    return isinstance(value, int | float) and value % params["m"] == params["r"]


def _event_is(context: Any, event: Any, params: Any) -> bool:
    found = fields(event)
    return params["field"] in found and same(found[params["field"]], params["value"])


BUILT_IN = frozenset(("raise", "send", "emit", "cancel", "assign", "choose"))
ACTIONS: Mapping[str, Any] = {
    "inc": Assign(_increment),
    "set": Assign(_set),
    "assignBoom": Assign(_boom),
}
GUARDS: Mapping[str, Callable[..., Any]] = {
    "true": lambda *_: True,
    "false": lambda *_: False,
    "lt": _compare(lambda a, b: a < b),
    "gt": _compare(lambda a, b: a > b),
    "eq": _compare(lambda a, b: a == b),
    "mod": _modulo,
    "evEq": _event_is,
    "boom": _boom,
    # Ours finds an unimplemented guard when the chart is made; the corpora want it to fail later.
    "missingGuard": _boom,
}
