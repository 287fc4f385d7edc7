"""Measure: take figures of several sides in turns, in one run, and compare them.

A *side* is a function that measures once and returns figures by their unit. Sides alternate, so
other programs on the machine slow all of them; their ratios hold, the figures alone do not.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final, TypeAlias, final

from attrs import frozen

# Long enough for the clock of the processor, short enough to alternate often.
SECONDS_PER_RUN: Final = 0.02
CHILD_SECONDS_MAX: Final = 180.0

Call: TypeAlias = Callable[[], object]
Figures: TypeAlias = Mapping[str, float]
Side: TypeAlias = Callable[[], Figures]
MakeSide: TypeAlias = Callable[[], Side]


class Unmeasured(Exception):
    """Why a side has no figures, as the table prints it."""


@final
@frozen
class Measured:
    """The figures of one side in each run, by unit, in the order in which they were taken."""

    runs: Sequence[Figures]

    def median(self, unit: str) -> float:
        """Return the median of a figure over the runs."""
        return median(run[unit] for run in self.runs)

    def ratio(self, other: "Measured", unit: str) -> float:
        """Return this side over *other*: the median of the ratios of runs beside each other."""
        pairs = zip(self.runs, other.runs, strict=True)
        return median(mine[unit] / theirs[unit] for mine, theirs in pairs)


def alternate(sides: Mapping[str, MakeSide], runs: int) -> dict[str, Measured | Unmeasured]:
    """Take *runs* figures of each side, in turns. A side that raises `Unmeasured` is left out."""
    missing: dict[str, Unmeasured] = {}
    taken: dict[str, list[Figures]] = {name: [] for name in sides}
    made: dict[str, Side] = {}
    for turn in range(runs):
        for name, make in sides.items():
            if name in missing:
                continue
            try:
                if turn == 0:
                    made[name] = make()
                taken[name].append(made[name]())
            except Unmeasured as reason:
                missing[name] = reason
    return {name: missing.get(name) or Measured(figures) for name, figures in taken.items()}


def processor_time(call: Call) -> Side:
    """Return a side: the microseconds of processor time of *call*, from many calls in a row."""
    call()
    number = max(1, int(SECONDS_PER_RUN * 1e6 / max(_microseconds(call, 3), 0.01)))
    return lambda: {"µs": _microseconds(call, number)}


def _microseconds(call: Call, number: int) -> float:
    start = time.process_time()
    for _ in range(number):
        call()
    return (time.process_time() - start) / number * 1e6


def child(*arguments: object) -> Side:
    """Return a side that runs Python with *arguments*; its last line is its figures as JSON.

    Nothing that one measurement leaves behind in a process (caches, threads, memory) reaches the
    next one, and both sides pay the same for it.
    """
    command = [sys.executable, *map(str, arguments)]

    def run() -> Figures:
        try:
            ended = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, timeout=CHILD_SECONDS_MAX
            )
        except subprocess.TimeoutExpired as error:
            raise Unmeasured(f"more than {CHILD_SECONDS_MAX:.0f} s") from error
        except subprocess.CalledProcessError as error:
            raise Unmeasured("failed") from error
        figures: Figures = json.loads(ended.stdout.splitlines()[-1])
        return figures

    return run


def print_figures(figures: Figures) -> None:
    """Print the figures of this process, as `child` reads them."""
    print(json.dumps(figures), flush=True)
