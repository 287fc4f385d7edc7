"""Draws: how often a strategy has been drawn from, and how often that gave a value."""

from contextlib import suppress
from typing import Any, Final, TypeVar, final

from attrs import define
from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample, Unsatisfiable
from hypothesis.strategies import DrawFn, SearchStrategy

T = TypeVar("T")

# After so many attempts without a value, a strategy is taken for one that has few.
DISCARDED_MIN: Final = 400


@final
@define
class Draws:
    """The number of *attempts* to draw, and of those that gave a value (*drawn*)."""

    attempts: int = 0
    drawn: int = 0

    @property
    def discarded(self) -> int:
        """The attempts that gave no value."""
        return self.attempts - self.drawn

    def is_short(self, wanted: int) -> bool:
        """Return True if fewer than *wanted* values came, although there may be more of them.

        A strategy with few values gives all of them, and ends without many attempts in vain.
        """
        return self.drawn == 0 or (self.drawn < wanted and self.discarded >= DISCARDED_MIN)


def counted(values: SearchStrategy[T], draws: Draws) -> SearchStrategy[T]:
    """Draw from *values*, and count it in *draws*."""

    # Without parameters: Hypothesis writes out those of a strategy whenever a draw fails.
    @st.composite
    def drawn(draw: DrawFn) -> T:
        draws.attempts += 1
        value = draw(values)
        draws.drawn += 1
        return value

    return drawn()


def sample(values: SearchStrategy[Any], examples: int) -> Draws:
    """Draw up to *examples* values, and return the numbers."""
    draws = Draws()
    budget = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
    )
    with suppress(NoSuchExample, Unsatisfiable):
        find(counted(values, draws), lambda _: False, settings=budget)
    return draws
