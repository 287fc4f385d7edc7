"""Measure every row beside other libraries: `make bench`.

    python -m benchmarks [--only PART_OF_A_NAME] [--runs RUNS]

Prints each row when it is measured. A whole run writes `docs/performance.md`, too.
"""

import argparse
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from benchmarks import page, pure
from benchmarks.measure import MakeSide, Unmeasured, alternate, processor_time
from benchmarks.table import Row, growth_rows, rows


def measure(row: Row, runs: int | None) -> page.Outcome:
    """Measure a row and its peers in turns with one orjson round trip."""
    sides: dict[str, MakeSide] = {
        page.OURS: row.make,
        **{peer.name: peer.make for peer in row.peers if peer.make is not None},
        page.ORJSON: partial(processor_time, row.trip or pure.small_trip()),
    }
    return page.Outcome(row, alternate(sides, min(row.runs, runs or row.runs)))


def print_rows(
    chosen: Sequence[Row], columns: Sequence[str], runs: int | None
) -> list[page.Outcome]:
    outcomes = []
    print(page.terminal(columns))
    for row in chosen:
        outcome = measure(row, runs)
        outcomes.append(outcome)
        for cells in page.lines(outcome):
            print(page.terminal(cells), flush=True)
    return outcomes


def machine() -> str:
    """Return what the figures of a run are of."""
    python, system = platform.python_version(), f"{platform.system()} on {platform.machine()}"
    return f"{datetime.now(UTC):%d %B %Y}, Python {python}, {system}, {os.cpu_count()} cores."


def moment() -> str:
    """Return what may change during a run, and then spoils it: the code, and other programs."""
    command = ["git", "-C", str(page.PAGE.parent), "describe", "--always", "--dirty"]
    described = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    commit = described.stdout.strip() or "unknown"
    return f"commit {commit}, load average {os.getloadavg()[0]:.1f}"


def main() -> int:
    """Print the rows, and write the page if they are all there; 1 if one of ours failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    parser.add_argument("--runs", type=int, help="at most, of each row")
    options = parser.parse_args()
    where, start = machine(), moment()
    print(where, start)
    outcomes, tables = [], {}
    for name, columns, family in (
        ("table", page.COLUMNS, rows()),
        ("growth", page.GROWTH_COLUMNS, growth_rows()),
    ):
        chosen = [row for row in family if options.only in row.name]
        measured = print_rows(chosen, columns, options.runs) if chosen else []
        cells = [line[: len(columns)] for outcome in measured for line in page.lines(outcome)]
        tables[name] = page.markdown(columns, cells)
        outcomes += measured
    if not outcomes:
        parser.error(f"no row's name contains {options.only!r}")
    run = f"{where} At the start: {start}; at the end: {moment()}.\n{page.orjson_line(outcomes)}"
    print(run)
    if not options.only:
        text = page.PAGE.read_text()
        for name, content in {"run": run, **tables}.items():
            text = page.replace(text, name, content)
        page.PAGE.write_text(text)
        print(f"written to {page.PAGE}")
    return any(_failed(outcome) for outcome in outcomes)


def _failed(outcome: page.Outcome) -> bool:
    ours = outcome.sides[page.OURS]
    return isinstance(ours, Unmeasured) and str(ours) == "failed"


if __name__ == "__main__":
    raise SystemExit(main())
