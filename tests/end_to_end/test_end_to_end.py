"""End to end: workers of each backend under all faults at once, judged by books of their own."""

import sys
from pathlib import Path

import pytest

from tests.end_to_end.checker import Report
from tests.end_to_end.figures import table
from tests.end_to_end.harness import run_under_faults
from tests.end_to_end.places import PLACES
from tests.end_to_end.setups import SHORT, deep, short

DEEP_WORKFLOWS = 1_000
WORKERS = 3
NAMES = list(PLACES)


def shown(report: Report) -> str:
    """Return the findings, one a line, and the figures."""
    return "\n".join(map(str, [*report.findings, report.figures]))


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8", "I11")
@pytest.mark.parametrize("place", NAMES)
def test_nothing_is_lost_doubled_stuck_or_out_of_order(place: str, tmp_path: Path) -> None:
    """Kills, freezes, restarts, a rolling deploy, poison, duplicates and cancellations at once."""
    # Another place of the poison on each backend.
    report = run_under_faults(short(place, seed=NAMES.index(place)), tmp_path)

    assert report.findings == [], shown(report)
    figures = report.figures
    assert (figures.kills, figures.restarts) == (SHORT.kills, SHORT.restarts)
    assert figures.deployed == WORKERS
    assert figures.poison == figures.dead_letters == 1
    assert min(figures.freezes, figures.copies, figures.cancelled, figures.poison_deaths) > 0


@pytest.mark.deep
@pytest.mark.parametrize("place", NAMES)
def test_nothing_is_lost_in_a_thousand_workflows(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same for long: faults of all kinds, mixed by a seed."""
    report = run_under_faults(deep(place, DEEP_WORKFLOWS, seed=1), tmp_path)

    with capsys.disabled():
        sys.stdout.write(f"\n{table({place: report.figures})}\n")
    assert report.findings == [], shown(report)
