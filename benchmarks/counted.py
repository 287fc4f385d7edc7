"""Counted: calls each pure row of the commit on PYTHONPATH, in the process that `check` measures.

Run as a file, because the package of the same name on PYTHONPATH may be that of another commit:
of its modules only `benchmarks.pure` is used.
"""

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from statistics import median

# More than the interpreter takes to specialise the code that runs.
WARM_UP_CALLS = 50
CALLS = 10
RUNS = 7
SECONDS_PER_RUN = 0.02


def main(kind: str) -> None:
    """Print what was measured, by the name of the row; only the names when callgrind counts."""
    from benchmarks import pure

    measured: dict[str, float] = {}
    for name, call, *_ in pure.rows():
        for _ in range(WARM_UP_CALLS):
            call()
        gc.collect()
        gc.disable()
        measured[name] = count(call) if kind == "instructions" else seconds(call)
        gc.enable()
    print(json.dumps(measured))


def count(call: Callable[[], object]) -> float:
    """Call *call* inside one C function: callgrind counts only there and writes a file."""
    globals()["counted_call"] = call
    code = f"for _ in range({CALLS}): counted_call()"
    if ctypes.pythonapi.PyRun_SimpleString(code.encode()) != 0:
        raise SystemExit(1)
    return 0.0


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time of one call: the median of several runs."""
    number = max(1, int(SECONDS_PER_RUN / max(_run(call, 3), 1e-8)))
    return median(_run(call, number) for _ in range(RUNS))


def _run(call: Callable[[], object], number: int) -> float:
    start = time.process_time()
    for _ in range(number):
        call()
    return (time.process_time() - start) / number


if __name__ == "__main__":
    main(sys.argv[1])
