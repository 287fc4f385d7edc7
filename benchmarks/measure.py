"""Measure: the median time of a call over several runs."""

import gc
import time
from collections.abc import Callable
from statistics import median

RUNS = 7
SECONDS_PER_RUN = 0.15


def microseconds(call: Callable[[], object]) -> float:
    """Return the microseconds of *call*: the median of RUNS runs, each long enough to measure."""
    call()
    start = time.perf_counter()
    call()
    number = max(1, int(SECONDS_PER_RUN / max(time.perf_counter() - start, 1e-7)))
    gc.collect()
    return median(_run(call, number) for _ in range(RUNS))


def _run(call: Callable[[], object], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number * 1e6
