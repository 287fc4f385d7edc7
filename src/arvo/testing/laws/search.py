"""Search: find the smallest example that breaks a law."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from hypothesis import Phase, find, settings
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from arvo.testing.laws.violation import LawViolation

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


def search(
    examples: SearchStrategy[T],
    laws: Sequence[Callable[[T], LawViolation | None]],
    budget: settings,
) -> LawViolation | None:
    """Return the violation of the smallest example that breaks one of *laws*, or None.

    The laws check each example in order. The first law that fails is the only one checked from then
    on, so that shrinking works towards one law.
    """
    results: dict[str, LawViolation | None] = {}
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
            results[key] = first_violation(example)
        return results[key] is not None

    try:
        smallest: Any = find(examples, breaks_a_law, settings=budget)
    except (NoSuchExample, Unsatisfiable):
        return None
    except Flaky:
        violations = [violation for violation in results.values() if violation is not None]
        return min(violations, key=lambda violation: len(violation.trace), default=None)
    return results[repr(smallest)]
