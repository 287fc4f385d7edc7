"""Waits: for how long messages waited for a worker of a process, over the last minutes."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, isinf
from typing import Final, final

from attrs import frozen

from arvo.console.views.metrics.outcomes import (
    HEIGHT,
    WIDTH,
    Sample,
    line_points,
    rated_samples,
)
from arvo.interpreters.worker.waits import BOUNDS, percentile

SHARES: Final = (("half of the messages", 0.5), ("95 % of the messages", 0.95))


@final
@frozen(kw_only=True)
class WaitRow:
    """Within which time a *share* of the messages was received: *now*, at its *highest*, and *in
    all*, in words. *points*: of a line, as in `OutcomeRow`.
    """

    share: str
    points: str
    now: str
    highest: str
    in_all: str


@final
@frozen
class WaitsView:
    """The waits of the last minutes, a row for each of `SHARES`."""

    rows: tuple[WaitRow, ...]
    width: int = WIDTH
    height: int = HEIGHT


def show_waits(samples: Sequence[Sample]) -> WaitsView | None:
    """Return the waits between *samples*, oldest first; None where nothing counts them."""
    counts = [it.waits for it in rated_samples(samples) if it.waits] if samples else []
    if not counts:
        return None
    parts = [_since(before, after) for before, after in pairwise(counts)]
    whole = _since(counts[0], counts[-1])
    return WaitsView(tuple(_row(name, share, parts, whole) for name, share in SHARES))


def _since(before: Sequence[int], after: Sequence[int]) -> list[int]:
    return [late - early for early, late in zip(before, after, strict=True)]


def _row(name: str, share: float, parts: Sequence[Sequence[int]], whole: Sequence[int]) -> WaitRow:
    waits = [percentile(part, share) for part in parts]
    known = [it for it in waits if it is not None]
    return WaitRow(
        share=name,
        points=line_points([min(it or 0.0, 2 * BOUNDS[-1]) for it in waits]),
        now=wait_text(waits[-1] if waits else None),
        highest=wait_text(max(known, default=None)),
        in_all=wait_text(percentile(whole, share)),
    )


def wait_text(seconds: float | None) -> str:
    """Return a wait in words, with two digits: the counts are no more exact.

    >>> wait_text(0.0035), wait_text(0.97), wait_text(200.0), wait_text(None)
    ('3.5 ms', '970 ms', '3.3 min', '–')
    """
    if seconds is None:
        return "–"
    if isinf(seconds):
        return f"over {BOUNDS[-1] / 3_600:.1f} h"
    units = (("ms", 0.001, 1.0), ("s", 1.0, 60.0), ("min", 60.0, 3_600.0), ("h", 3_600.0, inf))
    unit, size = next((unit, size) for unit, size, end in units if seconds < end)
    return f"{float(f'{seconds / size:.2g}'):g} {unit}"
