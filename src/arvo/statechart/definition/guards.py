"""Guards: questions about context, event and configuration, said as frozen values."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import frozen

StateValue: TypeAlias = str | Mapping[str, "StateValue"]


@frozen
class And:
    """All of *guards* hold; asked from left to right until one does not."""

    guards: "tuple[Guard, ...]"


@frozen
class Or:
    """One of *guards* holds; asked from left to right until one does."""

    guards: "tuple[Guard, ...]"


@frozen
class Not:
    """*guard* does not hold."""

    guard: "Guard"


@frozen
class StateIn:
    """A state is active: by ``#id``, by dotted path, or by a partial state value."""

    state: StateValue


@frozen
class Check:
    """A guard that a definition calls by *name*, and the function it stands for."""

    name: str
    params: object
    function: Callable[..., Any]


# A plain function of context and event answers with something true or false.
Guard: TypeAlias = And | Or | Not | StateIn | Check | Callable[..., Any]


def and_(*guards: Guard) -> And:
    """Hold where all *guards* hold."""
    return And(guards)


def or_(*guards: Guard) -> Or:
    """Hold where one of *guards* holds."""
    return Or(guards)


def not_(guard: Guard) -> Not:
    """Hold where *guard* does not."""
    return Not(guard)


def state_in(state: StateValue) -> StateIn:
    """Hold where *state* is active: ``"#id"``, ``"a.b"`` or ``{"a": "b"}``."""
    return StateIn(state)


def matches(value: StateValue, wanted: StateValue) -> bool:
    """Say whether the state *value* is at least as specific as *wanted*.

    >>> matches({"a": {"b": "c"}}, "a.b"), matches("a", {"a": {}})
    (True, False)
    """
    if isinstance(wanted, str):
        return _matches_path(value, split(wanted))
    if isinstance(value, str):
        return False
    return all(key in value and matches(value[key], part) for key, part in wanted.items())


def _matches_path(value: StateValue, path: list[str]) -> bool:
    for position, key in enumerate(path):
        if isinstance(value, str):
            return value == key and position == len(path) - 1
        if key not in value:
            return False
        value = value[key]
    return True


def split(path: str) -> list[str]:
    r"""Cut a dotted *path* into its keys; ``\.`` is a dot inside a key.

    >>> split(r"a.b\.c")
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
