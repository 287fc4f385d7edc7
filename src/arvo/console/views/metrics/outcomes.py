"""Outcomes: how many deliveries of a process had which outcome, over the last minutes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, final

from attrs import fields, frozen

from arvo.interpreters.worker.stats import Stats

# A quarter of an hour, and the sample that it begins with.
INTERVAL_SECONDS: Final = 10.0
SAMPLES_MAX: Final = 91
# The units of a line; it is printed in this size.
WIDTH: Final = 180
HEIGHT: Final = 28
# A rate over less than this is chance.
RATED_SECONDS_MIN: Final = 1.0


@final
@frozen
class Sample:
    """The counts of a runtime, at a time in *seconds* of a clock that is never set.

    *waits*: see `CountsWaits`; None where nothing counts them.
    """

    seconds: float
    stats: Stats
    waits: tuple[int, ...] | None = None


@final
@frozen(kw_only=True)
class OutcomeRow:
    """The deliveries with one *outcome*: the rates per second, and their number *in_all*.

    *points*: of a line from the oldest rate to the newest, in `WIDTH` by `HEIGHT`; empty where
    there are not yet two of them.
    """

    outcome: str
    points: str
    latest: float
    highest: float
    in_all: int


@final
@frozen
class OutcomesView:
    """The outcomes that have occurred in the last *seconds*, and `handled` in any case."""

    rows: tuple[OutcomeRow, ...]
    seconds: float
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def span(self) -> str:
        """The time that the rows cover, in words.

        >>> OutcomesView((), 45.2).span, OutcomesView((), 899.9).span
        ('45 s', '14 min')
        """
        return f"{self.seconds:.0f} s" if self.seconds < 60 else f"{self.seconds // 60:.0f} min"


def show_outcomes(samples: Sequence[Sample]) -> OutcomesView | None:
    """Return the rows of *samples*, oldest first; None of none."""
    if not samples:
        return None
    first, last, rated = samples[0], samples[-1], rated_samples(samples)
    names = [it.name for it in fields(Stats)]
    rows = (_row(name, rated, _count(last, name) - _count(first, name)) for name in names)
    return OutcomesView(
        tuple(row for row in rows if row.in_all or row.outcome == names[0]),
        last.seconds - first.seconds,
    )


def rated_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples between which rates are meaningful."""
    # The newest one is taken when a page is read, perhaps right behind the one before.
    *rated, last = samples
    if not rated or last.seconds - rated[-1].seconds >= RATED_SECONDS_MIN:
        rated.append(last)
    return rated


def _row(name: str, rated: Sequence[Sample], in_all: int) -> OutcomeRow:
    rates = [
        (_count(after, name) - _count(before, name)) / (after.seconds - before.seconds)
        for before, after in pairwise(rated)
        if after.seconds > before.seconds
    ]
    return OutcomeRow(
        outcome=name.replace("_", " "),
        points=line_points(rates),
        latest=rates[-1] if rates else 0.0,
        highest=max(rates, default=0.0),
        in_all=in_all,
    )


def line_points(rates: Sequence[float]) -> str:
    """Return the points of a line as SVG has them; the highest rate touches the upper edge.

    >>> line_points([0.0, 4.0, 2.0])
    '0,27 90,1 180,14'
    """
    if len(rates) < 2:
        return ""
    highest = max(*rates) or 1.0
    step = WIDTH / (len(rates) - 1)
    heights = (HEIGHT - 1 - rate / highest * (HEIGHT - 2) for rate in rates)
    return " ".join(f"{place * step:.4g},{height:.3g}" for place, height in enumerate(heights))


def _count(sample: Sample, name: str) -> int:
    return int(getattr(sample.stats, name))
