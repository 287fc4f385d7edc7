"""XState: a chart read from an XState v5 config."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from arvo.statechart.compiled.chart import CHART_ID, MEMORY_MAX, MICROSTEPS_MAX, Chart
from arvo.statechart.compiled.ops import is_function
from arvo.statechart.definition.actions import (
    Action,
    Assign,
    Branch,
    Choose,
    Make,
    Named,
    Raise,
    act,
    cancel,
    emit,
    listed,
    raise_,
    send,
)
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.guards import And, Check, Guard, Not, Or, StateIn
from arvo.statechart.definition.problems import ChartError, Problem
from arvo.statechart.definition.state import State, Transition

Config: TypeAlias = Mapping[str, Any]
Implementation: TypeAlias = Action | Callable[..., Any]

_STATE_KEYS = frozenset(
    {"id", "initial", "type", "states", "on", "always", "after", "onDone", "entry", "exit"}
    | {"history", "target", "tags", "meta", "output", "context"}
    # Said about a chart, not by it.
    | {"description", "version", "key", "order", "types"}
)
_TRANSITION_KEYS = frozenset({"target", "guard", "actions", "reenter", "description", "meta"})


@frozen
class Bound:
    """A function that gets its *params*, themselves a value or a function, as a third argument."""

    function: Callable[..., Any]
    params: object

    def __call__(self, context: object, event: object) -> Any:
        """Call the function with what is going on and with the params as they are now."""
        params = self.params(context, event) if callable(self.params) else self.params
        return self.function(context, event, params)


def from_xstate(
    config: Config,
    *,
    actions: Mapping[str, Implementation] | None = None,
    guards: Mapping[str, Callable[..., Any]] | None = None,
    delays: Mapping[str, object] | None = None,
    commands: Collection[str] = (),
    limit: int = MICROSTEPS_MAX,
    memory: int = MEMORY_MAX,
) -> Chart[Any]:
    """Make a chart of an XState v5 *config*.

    *actions* and *guards* implement the names that the config uses: an action, or a function of
    context and event, and of the params where the config gives some. Actions named in *commands*
    are left to the caller as ``Act`` commands. Where XState takes an inline function, the config
    may hold a Python one. Raises ``ChartError`` with every problem, each at its state's path.

    >>> from_xstate({"initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": {}}}).events
    ('GO',)
    """
    reader = _Reader(actions or {}, guards or {}, frozenset(commands), [])
    path = str(config.get("id", CHART_ID))
    fields = reader.fields(config, path)
    if reader.problems:
        raise ChartError(tuple(reader.problems))
    return Chart(
        **fields, context=config.get("context"), delays=delays or {}, limit=limit, memory=memory
    )


@frozen(eq=False)
class _Reader:
    actions: Mapping[str, Implementation]
    guards: Mapping[str, Callable[..., Any]]
    commands: frozenset[str]
    problems: list[Problem]

    def fields(self, config: Config, path: str) -> dict[str, Any]:
        """Read one state's config as the fields of a ``State``."""
        for key in config:
            if key not in _STATE_KEYS:
                self._problem(path, f"the key {key!r} is not supported")
        read: dict[str, Any] = {
            "states": {
                key: State(**self.fields(child, f"{path}.{key}"))
                for key, child in enumerated(config.get("states", {}))
            },
            "on": {key: self._moves(m, path) for key, m in enumerated(config.get("on", {}))},
            "after": {key: self._moves(m, path) for key, m in enumerated(config.get("after", {}))},
            "always": self._moves(config.get("always"), path),
            "entry": self._actions(config.get("entry"), path),
            "exit": self._actions(config.get("exit"), path),
            "tags": config.get("tags", ()),
        }
        if "onDone" in config:
            read["on_done"] = self._moves(config["onDone"], path)
        if "initial" in config:
            read["initial"] = self._initial(config["initial"], path)
        if config.get("history"):
            read["history"] = "shallow" if config["history"] is True else config["history"]
        for key in ("id", "type", "target", "meta", "output"):
            if key in config:
                read[key] = config[key]
        return read

    def _initial(self, initial: object, path: str) -> Transition | None:
        if isinstance(initial, Mapping):
            return self._move(initial, path)
        return Transition(str(initial)) if initial is not None else None

    def _moves(self, moves: object, path: str) -> tuple[Transition, ...]:
        return tuple(self._move(move, path) for move in _items(moves))

    def _move(self, move: object, path: str) -> Transition:
        if isinstance(move, Transition):
            return move
        if isinstance(move, str):
            return Transition(move)
        if not isinstance(move, Mapping):
            self._problem(path, f"{move!r} is not a transition")
            return Transition()
        for key in move:
            if key not in _TRANSITION_KEYS:
                self._problem(path, f"the transition key {key!r} is not supported")
        guard = move.get("guard")
        return Transition(
            move.get("target"),
            None if guard is None else self._guard(guard, path),
            actions=self._actions(move.get("actions"), path),
            reenter=bool(move.get("reenter", False)),
        )

    def _guard(self, guard: Any, path: str) -> Guard:
        if isinstance(guard, str):
            return self._named_guard(guard, None, path)
        if not isinstance(guard, Mapping):
            inline: Guard = guard
            return inline
        match guard.get("type"):
            case "and":
                return And(tuple(self._guard(one, path) for one in guard["guards"]))
            case "or":
                return Or(tuple(self._guard(one, path) for one in guard["guards"]))
            case "not":
                return Not(self._guard(guard["guard"], path))
            case "stateIn":
                return StateIn(guard["state"])
            case name:
                return self._named_guard(str(name), guard.get("params"), path)

    def _named_guard(self, name: str, params: object, path: str) -> Guard:
        function = self.guards.get(name)
        if function is None:
            self._problem(path, f"the guard {name!r} is not implemented")
            return Check(name, params, bool)
        return Check(name, params, function if params is None else Bound(function, params))

    def _actions(self, actions: object, path: str) -> tuple[Action, ...]:
        return tuple(self._action(action, path) for action in _items(actions))

    def _action(self, action: Any, path: str) -> Action:
        if isinstance(action, str):
            return self._named_action(action, None, path)
        if not isinstance(action, Mapping):
            return listed(action)[0]
        match action.get("type"):
            case "raise":
                return raise_(
                    _event(action["event"]), delay=action.get("delay"), id=action.get("id")
                )
            case "send":
                return send(_event(action["event"]), delay=action.get("delay"), id=action.get("id"))
            case "emit":
                return emit(action["event"])
            case "cancel":
                return cancel(action["sendId"])
            case name:
                return self._named_action(str(name), action.get("params"), path)

    def _named_action(self, name: str, params: object, path: str) -> Action:
        if name in self.commands:
            return act(name, params)
        action = self.actions.get(name)
        if action is None:
            self._problem(path, f"the action {name!r} is not implemented")
            return act(name, params)
        if params is None:
            return Named(name, params, action)
        return Named(name, params, _with(action, params))

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def _with(action: Implementation, params: object) -> Action:
    """Give *params* to every function in *action*."""
    match action:
        case Assign(update=Mapping() as update):
            return Assign({name: _bound(value, params) for name, value in update.items()})
        case Assign(update=update):
            return Assign(_bound(update, params))
        case Raise(event=event):
            return Raise(_bound(event, params))
        case Make(kind=kind, parts=parts):
            return Make(kind, tuple(_bound(part, params) for part in parts))
        case Choose(branches=branches):
            return Choose(tuple(_branch_with(branch, params) for branch in branches))
        case Named(name=name, params=own, action=inner):
            return Named(name, own, _with(inner, params))
        case _:
            bound: Action = _bound(action, params)
            return bound


def _branch_with(branch: Branch, params: object) -> Branch:
    actions = tuple(_with(action, params) for action in branch.actions)
    return Branch(actions, _guard_with(branch.guard, params))


def _guard_with(guard: Guard | None, params: object) -> Guard | None:
    match guard:
        case And(guards=guards):
            return And(tuple(_bound(_guard_with(one, params), params) for one in guards))
        case Or(guards=guards):
            return Or(tuple(_bound(_guard_with(one, params), params) for one in guards))
        case Not(guard=inner):
            return Not(_bound(_guard_with(inner, params), params))
        case _:
            bound: Guard | None = _bound(guard, params)
            return bound


def _bound(part: Any, params: object) -> Any:
    # What is bound already has params of its own.
    return Bound(part, params) if is_function(part) and not isinstance(part, Bound) else part


def _event(event: Any) -> object:
    """Make an event of its flat XState form: what is not the type is the data."""
    if not isinstance(event, Mapping):
        return event
    data = {key: value for key, value in event.items() if key != "type"}
    return Event(event["type"], data or None)


def _items(items: object) -> tuple[Any, ...]:
    if items is None:
        return ()
    return tuple(items) if isinstance(items, list | tuple) else (items,)


def enumerated(mapping: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Walk *mapping* as JavaScript does: integer-like keys first, in ascending order."""
    named = {str(k) if isinstance(k, int | float) else k: value for k, value in mapping.items()}
    keys = (key for key in named if isinstance(key, str))
    whole = [key for key in keys if key.isdecimal() and str(int(key)) == key]
    for key in sorted(whole, key=int):
        yield key, named[key]
    for key, value in named.items():
        if key not in whole:
            yield key, value
