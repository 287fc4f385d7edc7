"""Export: a chart written as an XState v5 config, as far as JSON can say it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any

from attrs import asdict, has

from arvo.statechart.compiled.behaviour import delay_of
from arvo.statechart.compiled.chart import CHART_ID, Chart
from arvo.statechart.compiled.compiled_guards import spoken
from arvo.statechart.compiled.ops import milliseconds
from arvo.statechart.definition.actions import Action, Assign, Branch, Choose, Make, Named, Raise
from arvo.statechart.definition.commands import Act, Cancel, Emit, Schedule, Send
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.guards import And, Check, Guard, Not, Or, StateIn
from arvo.statechart.definition.state import State, Transition

Json = dict[str, Any]


def to_xstate(chart: Chart[Any]) -> Json:
    """Write *chart* as a config that ``from_xstate`` and XState's tools read.

    Functions are written by their names, so reading it back needs implementations of these names;
    a context that a function makes is left out.
    """
    config = {"id": chart.id or CHART_ID, **_state(chart, chart)}
    if chart.context is not None and not callable(chart.context):
        config["context"] = _plain(chart.context)
    return config


def structural_hash(chart: Chart[Any]) -> str:
    """Hash what a snapshot depends on: states, transitions and names, but no data.

    Order counts, as document order does.
    """
    program = chart.compiled
    if program.structure is None:
        text = json.dumps(_without_data(to_xstate(chart)), separators=(",", ":"))
        program.structure = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return program.structure


def _without_data(config: Json) -> Json:
    kept = {key: part for key, part in config.items() if key not in ("context", "meta", "tags")}
    if "states" in kept:
        kept["states"] = {key: _without_data(child) for key, child in kept["states"].items()}
    return kept


def _state(chart: Chart[Any], state: State) -> Json:
    config: Json = {
        "type": state.type,
        "history": state.history,
        "target": None if state.target is None else list(state.target),
        "initial": None if state.initial is None else _initial(state.initial),
        "entry": _actions(state.entry),
        "exit": _actions(state.exit),
        "on": {chart.name(key): _moves(moves) for key, moves in state.on.items()},
        "always": _moves(state.always),
        "after": {delay_of(key)[0]: _moves(moves) for key, moves in state.after.items()},
        "onDone": None if state.on_done is None else _moves(state.on_done),
        "output": _plain(state.output),
        "tags": sorted(state.tags),
        "meta": _plain(state.meta),
        "states": {key: _with_id(chart, child) for key, child in state.states.items()},
    }
    # An empty onDone still replaces what `on` says of the same event, and an empty output or meta
    # is one; the rest says nothing.
    silent: tuple[Any, ...] = (None, [], {})
    return {
        key: part
        for key, part in config.items()
        if part not in silent or (key in ("onDone", "output", "meta") and part is not None)
    }


def _with_id(chart: Chart[Any], state: State) -> Json:
    own = {} if state.id is None else {"id": state.id}
    return own | _state(chart, state)


def _initial(initial: Transition) -> Any:
    target = (initial.target or ("",))[0]
    if not initial.actions:
        return target
    return {"target": target, "actions": _actions(initial.actions)}


def _moves(moves: Iterable[Transition]) -> list[Json]:
    return [_move(move) for move in moves]


def _move(move: Transition) -> Json:
    config: Json = {}
    if move.target is not None:
        config["target"] = list(move.target)
    if move.guard is not None:
        config["guard"] = _guard(move.guard)
    if move.actions:
        config["actions"] = _actions(move.actions)
    if move.reenter:
        config["reenter"] = True
    return config


def _guard(guard: Guard) -> Any:
    match guard:
        case And(guards=guards):
            return {"type": "and", "guards": [_guard(one) for one in guards]}
        case Or(guards=guards):
            return {"type": "or", "guards": [_guard(one) for one in guards]}
        case Not(guard=inner):
            return {"type": "not", "guard": _guard(inner)}
        case StateIn(state=state):
            return {"type": "stateIn", "state": _plain(state)}
        case Check(name=name, params=params):
            return _named(name, params)
        case _:
            return spoken(guard)


def _actions(actions: Iterable[Action]) -> list[Any]:
    return [_action(action) for action in actions]


def _action(action: Action) -> Any:
    match action:
        case Named(name=name, params=params):
            return _named(name, params)
        case Assign(update=update):
            if isinstance(update, Mapping):
                return {"type": "assign", "params": _plain(update)}
            return spoken(update)
        case Raise(event=event):
            return {"type": "raise", "event": _event(event)}
        case Make(kind=kind, parts=parts):
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
            return spoken(action)


def _branch(branch: Branch) -> Json:
    config: Json = {"actions": _actions(branch.actions)}
    return config if branch.guard is None else {"guard": _guard(branch.guard), **config}


def _command(kind: type[object], parts: tuple[Any, ...]) -> Any:
    if kind is Act:
        return _named(*parts)
    if kind is Cancel:
        return {"type": "cancel", "sendId": _plain(parts[0])}
    if kind is Emit:
        return {"type": "emit", "event": _plain(parts[0])}
    event, delay, timer = parts
    config: Json = {"type": "send" if kind is Send else "raise", "event": _event(event)}
    if delay is not None:
        config["delay"] = milliseconds(delay) if isinstance(delay, timedelta) else _plain(delay)
    if timer is not None:
        config["id"] = timer
    return config


def _named(name: str, params: object) -> Any:
    return name if params is None else {"type": name, "params": _plain(params)}


def _event(event: Any) -> Json:
    if isinstance(event, Event):
        data = _plain(event.data)
        if data is None:
            return {"type": event.type}
        return {"type": event.type, **(data if isinstance(data, dict) else {"data": data})}
    if isinstance(event, str):
        return {"type": event}
    return {"type": spoken(event)}


def _plain(value: Any) -> Any:
    """Write *value* as JSON; what JSON cannot say becomes a name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, AbstractSet):
        return sorted((_plain(part) for part in value), key=json.dumps)
    if has(type(value)):
        return _plain(asdict(value, recurse=False))
    # Not repr: it may hold an address, and the hash would differ from process to process.
    return spoken(value)
