"""Answered: effects that are answered by drawn values, where no function is given for them."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from inspect import isclass
from typing import Any, Final, TypeAlias, TypeVar, final

import attrs
from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.handlers.flow.journal import returned
from arvo.testing.strategies.payloads import payloads

T = TypeVar("T")

# What answers an effect: a function as in `run`, or a strategy of what it may return.
Substitutes: TypeAlias = Mapping[Callable[..., Any], Callable[..., Any] | SearchStrategy[Any]]

OUTCOMES_MAX: Final = 3


class Asked(Exception):
    """An effect is asked for that no table answers yet."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(_name(function))
        self.function = function


class EffectFailed(Exception):
    """An effect could not be performed, as may happen to each; it may escape a handler."""


@final
@frozen
class Outcomes:
    """A function that returns (or raises) one of *values*, the same for the same arguments."""

    name: str
    values: tuple[Any, ...]

    def __call__(self, *arguments: Any) -> Any:
        """Give the outcome for *arguments*."""
        drawn = blake2b(repr(arguments).encode(), digest_size=4).digest()[0]
        outcome = self.values[drawn % len(self.values)]
        if isinstance(outcome, EffectFailed):
            # A new one: an exception that is raised twice carries both tracebacks.
            raise EffectFailed(*outcome.args)
        return outcome


def tables(effects: Substitutes) -> SearchStrategy[Mapping[Any, Callable[..., Any]]]:
    """Draw tables that answer effects: what is a strategy becomes a function of its values."""
    each = {
        function: _outcomes(function, given)
        if isinstance(given, SearchStrategy)
        else st.just(given)
        for function, given in effects.items()
    }
    drawn: SearchStrategy[Any] = st.fixed_dictionaries(each)
    return drawn.map(_Table)


class _Table(dict[Any, Callable[..., Any]]):
    """Functions by what they stand for; who asks for another is told that it was asked for."""

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ARG002 - of a mapping
        if key not in self:
            raise Asked(key)
        return self[key]


def searched(known: Substitutes | None, find: Callable[[SearchStrategy[Any]], T]) -> T:
    """Let *find* search with tables; where an effect is missing, again with one more."""
    effects = dict(known or {})
    while True:
        try:
            return find(tables(effects))
        except Asked as asked:
            effects[asked.function] = outcomes_of(asked.function)


def outcomes_of(function: Callable[..., Any]) -> SearchStrategy[Any]:
    """Draw what *function* may return, by its annotation; a TypeError where it says nothing."""
    kind = returned(function)
    if kind is Any:
        remedy = "pass effects={function: a function, or a strategy}"
        raise TypeError(f"{_name(function)} does not say what it returns: {remedy}")
    return payloads(kind) if isclass(kind) and attrs.has(kind) else st.from_type(kind)


def _outcomes(
    function: Callable[..., Any], strategy: SearchStrategy[Any]
) -> SearchStrategy[Outcomes]:
    each = strategy | st.builds(EffectFailed, st.just(f"{_name(function)} cannot be reached"))
    some = st.lists(each, min_size=1, max_size=OUTCOMES_MAX).map(tuple)
    return st.builds(Outcomes, st.just(_name(function)), some)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
