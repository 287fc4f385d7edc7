"""Guards: conditions on context, event and configuration, as frozen values."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import frozen

StateValue: TypeAlias = str | Mapping[str, "StateValue"]


@frozen
class And:
    """Holds if all of *guards* hold. They are evaluated from left to right until one fails."""

    guards: "tuple[Guard, ...]"


@frozen
class Or:
    """Holds if one of *guards* holds. They are evaluated from left to right until one does."""

    guards: "tuple[Guard, ...]"


@frozen
class Not:
    """Holds if *guard* does not."""

    guard: "Guard"


@frozen
class StateIn:
    """Holds if a state is active: given by ``#id``, dotted path, or partial state value."""

    state: StateValue


@frozen
class NamedGuard:
    """A guard that a definition refers to by *name*, with the function that implements it."""

    name: str
    params: object
    function: Callable[..., Any]


# A plain function of context and event returns something true or false.
Guard: TypeAlias = And | Or | Not | StateIn | NamedGuard | Callable[..., Any]


def and_(*guards: Guard) -> And:
    """Hold if all *guards* hold."""
    return And(guards)


def or_(*guards: Guard) -> Or:
    """Hold if one of *guards* holds."""
    return Or(guards)


def not_(guard: Guard) -> Not:
    """Hold if *guard* does not."""
    return Not(guard)


def state_in(state: StateValue) -> StateIn:
    """Hold if *state* is active: ``"#id"``, ``"a.b"`` or ``{"a": "b"}``."""
    return StateIn(state)


def matches(value: StateValue, expected: StateValue) -> bool:
    """Return whether the state *value* is at least as specific as *expected*.

    >>> matches({"a": {"b": "c"}}, "a.b"), matches("a", {"a": {}})
    (True, False)
    """
    if isinstance(expected, str):
        return _matches_path(value, split_path(expected))
    if isinstance(value, str):
        return False
    return all(key in value and matches(value[key], part) for key, part in expected.items())


def _matches_path(value: StateValue, path: list[str]) -> bool:
    for position, key in enumerate(path):
        if isinstance(value, str):
            return value == key and position == len(path) - 1
        if key not in value:
            return False
        value = value[key]
    return True


def split_path(path: str) -> list[str]:
    r"""Split a dotted *path* into its keys; ``\.`` is a dot inside a key.

    >>> split_path(r"a.b\.c")
    ['a', 'b.c']
    """
    keys = [""]
    characters = iter(path)
    for character in characters:
        if character == "\\":
            keys[-1] += next(characters, "")
        elif character == ".":
            keys.append("")
        else:
            keys[-1] += character
    return keys
