"""To XState: a chart written as an XState v5 config, as far as JSON can express it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any

from attrs import asdict, has

from arvo.statechart.compiled.chart import CHART_ID, Chart
from arvo.statechart.compiled.compiled_guards import display_name
from arvo.statechart.compiled.ops import milliseconds, parse_delay
from arvo.statechart.definition.actions import (
    Action,
    Assign,
    Branch,
    Choose,
    CommandTemplate,
    NamedAction,
    Raise,
)
from arvo.statechart.definition.commands import Act, Cancel, Emit, Schedule, Send
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.guards import And, Guard, NamedGuard, Not, Or, StateIn
from arvo.statechart.definition.state import State, Transition

Json = dict[str, Any]

_DATA_KEYS = ("context", "meta", "tags")  # of a state; the structural hash leaves them out


def to_xstate(chart: Chart[Any]) -> Json:
    """Return *chart* as a config that ``from_xstate`` and XState's tools read.

    Functions become their names, so reading the config back needs implementations of these names.
    A context that a function makes is left out.
    """
    config = {"id": chart.id or CHART_ID, **_state(chart, chart)}
    if chart.context is not None and not callable(chart.context):
        config["context"] = _to_json(chart.context)
    return config


def structural_hash(chart: Chart[Any]) -> str:
    """Return a hash of everything a snapshot depends on: states, transitions and names, no data.

    The order of states and transitions changes the hash, because document order has a meaning.
    """
    program = chart.compiled
    if program.structure is None:
        text = json.dumps(_without_data(to_xstate(chart)), separators=(",", ":"))
        program.structure = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return program.structure


def _without_data(config: Json) -> Json:
    structure = {key: part for key, part in config.items() if key not in _DATA_KEYS}
    if "states" in structure:
        states = structure["states"].items()
        structure["states"] = {key: _without_data(child) for key, child in states}
    return structure


def _state(chart: Chart[Any], state: State) -> Json:
    config: Json = {
        "type": state.type,
        "history": state.history,
        "target": None if state.target is None else list(state.target),
        "initial": None if state.initial is None else _initial(state.initial),
        "entry": _actions(state.entry),
        "exit": _actions(state.exit),
        "on": {chart.name(key): _transitions(value) for key, value in state.on.items()},
        "always": _transitions(state.always),
        "after": {parse_delay(key)[0]: _transitions(value) for key, value in state.after.items()},
        "onDone": None if state.on_done is None else _transitions(state.on_done),
        "output": _to_json(state.output),
        "tags": sorted(state.tags),
        "meta": _to_json(state.meta),
        "states": {key: _with_id(chart, child) for key, child in state.states.items()},
    }
    # Other empty parts mean nothing. But an empty onDone still replaces the transitions of `on` for
    # the same event, and an empty output or meta is a value.
    empty: tuple[Any, ...] = (None, [], {})
    return {
        key: part
        for key, part in config.items()
        if part not in empty or (key in ("onDone", "output", "meta") and part is not None)
    }


def _with_id(chart: Chart[Any], state: State) -> Json:
    own = {} if state.id is None else {"id": state.id}
    return own | _state(chart, state)


def _initial(initial: Transition) -> Any:
    target = (initial.target or ("",))[0]
    if not initial.actions:
        return target
    return {"target": target, "actions": _actions(initial.actions)}


def _transitions(transitions: Iterable[Transition]) -> list[Json]:
    return [_transition(transition) for transition in transitions]


def _transition(transition: Transition) -> Json:
    config: Json = {}
    if transition.target is not None:
        config["target"] = list(transition.target)
    if transition.guard is not None:
        config["guard"] = _guard(transition.guard)
    if transition.actions:
        config["actions"] = _actions(transition.actions)
    if transition.reenter:
        config["reenter"] = True
    return config


def _guard(guard: Guard) -> Any:
    match guard:
        case And(guards=guards):
            return {"type": "and", "guards": [_guard(part) for part in guards]}
        case Or(guards=guards):
            return {"type": "or", "guards": [_guard(part) for part in guards]}
        case Not(guard=inner):
            return {"type": "not", "guard": _guard(inner)}
        case StateIn(state=state):
            return {"type": "stateIn", "state": _to_json(state)}
        case NamedGuard(name=name, params=params):
            return _named(name, params)
        case _:
            return display_name(guard)


def _actions(actions: Iterable[Action]) -> list[Any]:
    return [_action(action) for action in actions]


def _action(action: Action) -> Any:
    match action:
        case NamedAction(name=name, params=params):
            return _named(name, params)
        case Assign(update=update):
            if isinstance(update, Mapping):
                return {"type": "assign", "params": _to_json(update)}
            return display_name(update)
        case Raise(event=event):
            return {"type": "raise", "event": _event(event)}
        case CommandTemplate(kind=kind, parts=parts):
            return _command(kind, parts)
        case Choose(branches=branches):
            return {"type": "choose", "params": {"branches": [_branch(b) for b in branches]}}
        case Emit(event=event):
            return _command(Emit, (event,))
        case Send(event=event, delay_ms=delay, id=timer):
            return _command(Send, (event, delay, timer))
        case Schedule(event=event, delay_ms=delay, id=timer):
            return _command(Schedule, (event, delay, timer))
        case Cancel(id=timer):
            return _command(Cancel, (timer,))
        case Act(type=name, params=params):
            return _named(name, params)
        case _:
            return display_name(action)


def _branch(branch: Branch) -> Json:
    config: Json = {"actions": _actions(branch.actions)}
    return config if branch.guard is None else {"guard": _guard(branch.guard), **config}


def _command(kind: type[object], parts: tuple[Any, ...]) -> Any:
    if kind is Act:
        return _named(*parts)
    if kind is Cancel:
        return {"type": "cancel", "sendId": _to_json(parts[0])}
    if kind is Emit:
        return {"type": "emit", "event": _to_json(parts[0])}
    event, delay, timer = parts
    config: Json = {"type": "send" if kind is Send else "raise", "event": _event(event)}
    if delay is not None:
        config["delay"] = milliseconds(delay) if isinstance(delay, timedelta) else _to_json(delay)
    if timer is not None:
        config["id"] = timer
    return config


def _named(name: str, params: object) -> Any:
    return name if params is None else {"type": name, "params": _to_json(params)}


def _event(event: Any) -> Json:
    if isinstance(event, Event):
        data = _to_json(event.data)
        if data is None:
            return {"type": event.type}
        return {"type": event.type, **(data if isinstance(data, dict) else {"data": data})}
    if isinstance(event, str):
        return {"type": event}
    return {"type": display_name(event)}


def _to_json(value: Any) -> Any:
    """Return *value* as JSON data. A value that JSON cannot express becomes a name."""
    if isinstance(value, Mapping):
        return {str(key): _to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(part) for part in value]
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, AbstractSet):
        return sorted((_to_json(part) for part in value), key=json.dumps)
    if has(type(value)):
        return _to_json(asdict(value, recurse=False))
    # Not repr: it may hold an address, so the hash would differ from process to process.
    return display_name(value)
