"""Waits: counts for how long messages waited for their first delivery."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol, final, runtime_checkable

from attrs import define, field

from arvo.core.events.event import Event

# From a millisecond to more than an hour, each half as long again as the one before: as exact as a
# person reads a line. What waited for longer has a count of its own.
BOUNDS: Final = tuple(0.001 * 1.5**step for step in range(40))
_NANOSECONDS: Final = 1_000_000_000


@runtime_checkable
class CountsWaits(Protocol):
    """An observer of a runtime that counts the waits of the messages which its workers received."""

    @property
    def wait_counts(self) -> tuple[int, ...]:
        """How many waited up to each of `BOUNDS`, in seconds, and for longer than the last."""
        ...


@final
@define(eq=False)
class Waits:
    """The counts of one runtime since it started."""

    _counts: list[int] = field(factory=lambda: [0] * (len(BOUNDS) + 1), init=False)

    def add(self, seconds: float) -> None:
        """Count one message."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1

    @property
    def counts(self) -> tuple[int, ...]:
        """See `CountsWaits.wait_counts`."""
        return tuple(self._counts)


def wait_of(event: Event[Any], received: int) -> float:
    """Return how many seconds an event waited until it was *received*, in nanoseconds since 1970.

    0 where the clock of its sender is ahead.
    """
    sent = datetime.fromisoformat(event.time).timestamp()
    return max(0.0, received / _NANOSECONDS - sent)


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the seconds within which this *share* of the counted messages was received.

    The bound of a count, infinity for the last one; None where nothing was counted.

    >>> waits = Waits()
    >>> for seconds in (0.001, 0.001, 5.0):
    ...     waits.add(seconds)
    >>> percentile(waits.counts, 0.5), percentile(Waits().counts, 0.5)
    (0.001, None)
    """
    left = sum(counts) * share
    if not left:
        return None
    for bound, count in zip((*BOUNDS, float("inf")), counts, strict=True):
        left -= count
        if left <= 0:
            return bound
    return None
