"""Limit: how often a line is logged that an outage repeats."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final, final

from attrs import define, field

# One line for each is enough to see when an outage began and that it lasts.
REPEAT_SECONDS: Final = 10.0


def loop_time() -> float:
    """Return the time of the running event loop's clock, in seconds."""
    return asyncio.get_running_loop().time()


@final
@define(eq=False)
class LineLimit:
    """Allows one line in `REPEAT_SECONDS`. *clock*: a monotonic clock.

    *unlogged*: how many lines were held back before the last that was allowed, None for none.
    """

    clock: Callable[[], float] = loop_time
    unlogged: int | None = field(default=None, init=False)
    _held_back: int = field(default=0, init=False)
    _next_at: float = field(default=-inf, init=False)

    def is_due(self) -> bool:
        """Return whether the line is to be logged now."""
        now = self.clock()
        if now < self._next_at:
            self._held_back += 1
            return False
        self._next_at = now + REPEAT_SECONDS
        self.unlogged, self._held_back = self._held_back or None, 0
        return True
