"""Draws: how often a test draws: the number that `make test` has time for, or all of them."""

from typing import Final

from hypothesis import settings

# More examples than `make test` draws for a law.
_DEEP: Final = 100


def draws(few: int, many: int) -> int:
    """Return *few*, and *many* in `make test-deep`."""
    return many if settings().max_examples > _DEEP else few
