"""Search: find the smallest example that breaks a law."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar, final

from attrs import frozen
from hypothesis import Phase, find, settings
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from arvo.testing.laws.report import EXAMPLES_MIN
from arvo.testing.laws.violation import LawViolation
from arvo.testing.schemas.draws import Draws, counted

T = TypeVar("T")

# Derandomised: the result is the same on every run and every machine.
BUDGET: Final = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    # Without the phase `explain`, which runs as many examples again to annotate the failure. The
    # trace already explains it.
    phases=(Phase.generate, Phase.shrink),
)


@final
@frozen
class SearchResult(Generic[T]):
    """The *violation* of the smallest example that breaks a law, if any, and what was tried."""

    violation: LawViolation | None
    examples: tuple[T, ...]
    draws: Draws

    def is_short(self, budget: settings) -> bool:
        """Return True if too few examples were drawn to say anything about the laws."""
        return self.draws.is_short(max(1, min(EXAMPLES_MIN, budget.max_examples // 2)))


def search(
    examples: SearchStrategy[T],
    laws: Sequence[Callable[[T], LawViolation | None]],
    budget: settings,
) -> SearchResult[T]:
    """Search *examples* for one that breaks one of *laws*.

    The laws check each example in order. The first law that fails is the only one checked from then
    on, so that shrinking works towards one law.
    """
    results: dict[str, LawViolation | None] = {}
    tried: list[T] = []
    draws = Draws()
    active = list(laws)

    def first_violation(example: T) -> LawViolation | None:
        for law in active:
            violation = law(example)
            if violation is not None:
                active[:] = [law]
                return violation
        return None

    def breaks_a_law(example: T) -> bool:
        # Each example is checked once. A handler that is not deterministic would otherwise give
        # Hypothesis inconsistent results, and such a handler is what the search looks for.
        key = repr(example)
        if key not in results:
            tried.append(example)
            results[key] = first_violation(example)
        return results[key] is not None

    violation: LawViolation | None = None
    try:
        smallest: Any = find(counted(examples, draws), breaks_a_law, settings=budget)
        violation = results[repr(smallest)]
    except (NoSuchExample, Unsatisfiable):
        pass
    except Flaky:
        violations = [violation for violation in results.values() if violation is not None]
        violation = min(violations, key=lambda violation: len(violation.trace), default=None)
    return SearchResult(violation, tuple(tried), draws)
