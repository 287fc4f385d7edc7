"""Effect stubs: functions that return drawn values, in place of the effects that handlers call."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, TypeAlias, TypeVar, final

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.payloads.types.adapters import is_payload_class
from arvo.handlers.effect import EffectTable
from arvo.handlers.flow.journal import return_type
from arvo.testing.strategies.payloads import payloads

T = TypeVar("T")

# For each effect a function that runs instead, as in `run`, or a strategy for its result.
EffectSubstitutes: TypeAlias = EffectTable

# Different outcomes of one effect in one example.
OUTCOMES_MAX: Final = 3


class UnknownEffect(Exception):
    """A handler calls an effect for which the table has no stub yet."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(_name(function))
        self.function = function


class EffectFailed(Exception):
    """A stub failed, as any effect may; a handler need not catch this exception."""


@final
@frozen
class EffectStub:
    """A function that returns or raises one of *outcomes*, always the same for equal arguments."""

    name: str
    outcomes: tuple[Any, ...]

    def __call__(self, *arguments: Any) -> Any:
        """Return the outcome for *arguments*, or raise it if it is an `EffectFailed`."""
        text = ", ".join(map(_stable_repr, arguments))
        digest = blake2b(text.encode(), digest_size=4).digest()[0]
        outcome = self.outcomes[digest % len(self.outcomes)]
        if isinstance(outcome, EffectFailed):
            # A new instance: an exception that is raised twice collects both tracebacks.
            raise EffectFailed(*outcome.args)
        return outcome


def _stable_repr(value: Any) -> str:
    """Return a text that is the same in each process: the items of sets have no order."""
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_stable_repr, value)))}}}"
    return repr(value)


def effect_tables(effects: EffectSubstitutes) -> SearchStrategy[Mapping[Any, Callable[..., Any]]]:
    """Draw effect tables: a strategy becomes a stub that returns its values."""
    functions = {
        function: _effect_stubs(function, substitute)
        if isinstance(substitute, SearchStrategy)
        else st.just(substitute)
        for function, substitute in effects.items()
    }
    tables: SearchStrategy[Any] = st.fixed_dictionaries(functions)
    return tables.map(_Table)


class _Table(dict[Any, Callable[..., Any]]):
    """An effect table that raises `UnknownEffect` for a function that it lacks."""

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ARG002 - the signature of Mapping
        if key not in self:
            raise UnknownEffect(key)
        return self[key]


def search_effects(known: EffectSubstitutes | None, find: Callable[[SearchStrategy[Any]], T]) -> T:
    """Return the result of *find* on effect tables.

    When a handler calls an effect that the tables lack, *find* runs again with a stub for it, drawn
    from its return annotation.
    """
    effects = dict(known or {})
    while True:
        try:
            return find(effect_tables(effects))
        except UnknownEffect as unknown:
            effects[unknown.function] = return_values(unknown.function)


def return_values(function: Callable[..., Any]) -> SearchStrategy[Any]:
    """Draw the values that *function* may return, by its annotation.

    Raises TypeError if it has no return annotation.
    """
    kind = return_type(function)
    if kind is Any:
        remedy = "pass effects={function: a function, or a strategy}"
        raise TypeError(f"{_name(function)} has no return annotation: {remedy}")
    return payloads(kind) if is_payload_class(kind) else st.from_type(kind)


def _effect_stubs(
    function: Callable[..., Any], results: SearchStrategy[Any]
) -> SearchStrategy[EffectStub]:
    failures = st.builds(EffectFailed, st.just(f"{_name(function)} cannot be reached"))
    outcomes = st.lists(results | failures, min_size=1, max_size=OUTCOMES_MAX).map(tuple)
    return st.builds(EffectStub, st.just(_name(function)), outcomes)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
