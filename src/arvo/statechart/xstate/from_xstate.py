"""From XState: a chart read from an XState v5 config."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from arvo.statechart.compiled.chart import CHART_ID, MEMORY_MAX, MICROSTEPS_MAX, Chart
from arvo.statechart.definition.actions import (
    Action,
    NamedAction,
    act,
    cancel,
    emit,
    raise_,
    send,
    to_actions,
)
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.guards import And, Guard, NamedGuard, Not, Or, StateIn
from arvo.statechart.definition.problems import ChartError, Problem
from arvo.statechart.definition.state import State, Transition
from arvo.statechart.xstate.params import WithParams, bind_action

Config: TypeAlias = Mapping[str, Any]
Implementation: TypeAlias = Action | Callable[..., Any]

_STATE_KEYS = frozenset(
    {"id", "initial", "type", "states", "on", "always", "after", "onDone", "entry", "exit"}
    | {"history", "target", "tags", "meta", "output", "context"}
    # Documentation and tool data, which change nothing.
    | {"description", "version", "key", "order", "types"}
)
_TRANSITION_KEYS = frozenset({"target", "guard", "actions", "reenter", "description", "meta"})
# Keys of XState v4, and the names that v5 has for them.
_V5_KEYS = {"cond": "guard", "internal": "reenter", "onEntry": "entry", "onExit": "exit"}


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

    *actions* and *guards* implement the names that the config uses: by an action, or by a
    function of context and event, which takes the params as a third argument if the config has
    some. *delays* implements its named delays. Actions named in *commands* are left to the caller
    as ``Act`` commands. Where XState takes an inline function, the config may hold a Python one.
    Raises ``ChartError`` with every problem, each at the path of its state.

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
        """Read the config of one state as the fields of a ``State``."""
        for key in config:
            if key not in _STATE_KEYS:
                self._problem(path, f"the key {key!r} is not supported: {_remedy(key)}")
        on, after = config.get("on", {}), config.get("after", {})
        fields: dict[str, Any] = {
            "states": {
                key: State(**self.fields(child, f"{path}.{key}"))
                for key, child in items_in_javascript_order(config.get("states", {}))
            },
            "on": self._transition_map(on, path),
            "after": self._transition_map(after, path),
            "always": self._transitions(config.get("always"), path),
            "entry": self._actions(config.get("entry"), path),
            "exit": self._actions(config.get("exit"), path),
            "tags": config.get("tags", ()),
        }
        if "onDone" in config:
            fields["on_done"] = self._transitions(config["onDone"], path)
        if "initial" in config:
            fields["initial"] = self._initial(config["initial"], path)
        if config.get("history"):
            fields["history"] = "shallow" if config["history"] is True else config["history"]
        for key in ("id", "type", "target", "meta", "output"):
            if key in config:
                fields[key] = config[key]
        return fields

    def _initial(self, initial: object, path: str) -> Transition | None:
        if isinstance(initial, Mapping):
            return self._transition(initial, path)
        return Transition(str(initial)) if initial is not None else None

    def _transition_map(
        self, transitions: Mapping[Any, Any], path: str
    ) -> dict[str, tuple[Transition, ...]]:
        return {
            key: self._transitions(value, path)
            for key, value in items_in_javascript_order(transitions)
        }

    def _transitions(self, transitions: object, path: str) -> tuple[Transition, ...]:
        return tuple(self._transition(value, path) for value in _to_tuple(transitions))

    def _transition(self, transition: object, path: str) -> Transition:
        if isinstance(transition, Transition):
            return transition
        if isinstance(transition, str):
            return Transition(transition)
        if not isinstance(transition, Mapping):
            self._problem(
                path, f"{transition!r} is not a transition: use a target, or an object with one"
            )
            return Transition()
        for key in transition:
            if key not in _TRANSITION_KEYS:
                message = f"the transition key {key!r} is not supported: {_remedy(key)}"
                self._problem(path, message)
        guard = transition.get("guard")
        return Transition(
            transition.get("target"),
            None if guard is None else self._guard(guard, path),
            actions=self._actions(transition.get("actions"), path),
            reenter=bool(transition.get("reenter", False)),
        )

    def _guard(self, guard: Any, path: str) -> Guard:
        if isinstance(guard, str):
            return self._named_guard(guard, None, path)
        if not isinstance(guard, Mapping):
            inline: Guard = guard
            return inline
        match guard.get("type"):
            case "and":
                return And(tuple(self._guard(part, path) for part in guard["guards"]))
            case "or":
                return Or(tuple(self._guard(part, path) for part in guard["guards"]))
            case "not":
                return Not(self._guard(guard["guard"], path))
            case "stateIn":
                return StateIn(guard["state"])
            case name:
                return self._named_guard(str(name), guard.get("params"), path)

    def _named_guard(self, name: str, params: object, path: str) -> Guard:
        function = self.guards.get(name)
        if function is None:
            self._problem(path, f"the guard {name!r} is not implemented: add it to guards")
            return NamedGuard(name, params, bool)
        bound = function if params is None else WithParams(function, params)
        return NamedGuard(name, params, bound)

    def _actions(self, actions: object, path: str) -> tuple[Action, ...]:
        return tuple(self._action(action, path) for action in _to_tuple(actions))

    def _action(self, action: Any, path: str) -> Action:
        if isinstance(action, str):
            return self._named_action(action, None, path)
        if not isinstance(action, Mapping):
            return to_actions(action)[0]
        match action.get("type"):
            case "raise":
                event = _read_event(action["event"])
                return raise_(event, delay=action.get("delay"), id=action.get("id"))
            case "send":
                event = _read_event(action["event"])
                return send(event, delay=action.get("delay"), id=action.get("id"))
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
            self._problem(path, f"the action {name!r} is not implemented: add it to actions")
            return act(name, params)
        if params is None:
            return NamedAction(name, params, action)
        return NamedAction(name, params, bind_action(action, params))

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def _remedy(key: object) -> str:
    name = _V5_KEYS.get(str(key))
    return "remove it" if name is None else f"XState v5 has {name!r} for it"


def _read_event(event: Any) -> object:
    """Make an event of its flat XState form: the keys other than ``type`` are its data."""
    if not isinstance(event, Mapping):
        return event
    data = {key: value for key, value in event.items() if key != "type"}
    return Event(event["type"], data or None)


def _to_tuple(items: object) -> tuple[Any, ...]:
    if items is None:
        return ()
    return tuple(items) if isinstance(items, list | tuple) else (items,)


def items_in_javascript_order(mapping: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Iterate over *mapping* as JavaScript does: integer-like keys first, in ascending order."""
    named = {str(k) if isinstance(k, int | float) else k: value for k, value in mapping.items()}
    keys = (key for key in named if isinstance(key, str))
    integers = [key for key in keys if key.isdecimal() and str(int(key)) == key]
    for key in sorted(integers, key=int):
        yield key, named[key]
    for key, value in named.items():
        if key not in integers:
            yield key, value
