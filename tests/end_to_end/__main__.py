"""Command line: `python -m tests.end_to_end sqlite nats --workflows 1000 --seed 3`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.end_to_end.figures import table
from tests.end_to_end.harness import run_under_faults
from tests.end_to_end.places import PLACES
from tests.end_to_end.setups import deep

FINDINGS_SHOWN = 40


def main() -> int:
    """Run all faults on some backends, and print the findings and a table of figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end", description=main.__doc__)
    parser.add_argument("places", nargs="+", choices=PLACES)
    parser.add_argument("--workflows", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows, number = {}, 0
    for place in arguments.places:
        setup = deep(place, arguments.workflows, arguments.seed)
        folder = Path(tempfile.mkdtemp(prefix=f"arvo-e2e-{place}-"))
        report = run_under_faults(setup, folder)
        for finding in report.findings[:FINDINGS_SHOWN]:
            print(f"{place}: {finding}")
        print(f"{place}: {len(report.findings)} findings; the book is in {folder}", flush=True)
        rows[place] = report.figures
        number += len(report.findings)
    print(table(rows))
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
