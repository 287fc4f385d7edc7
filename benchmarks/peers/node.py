"""Node: arvo-core, arvo-event-handler and XState, in a Node process that measures itself.

The packages come from the folder that ARVO_BENCH_NODE names, or from `npm install` into a folder
that is deleted with this process.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.measure import Side, Unmeasured

REFERENCE: Final = ("arvo-core@3.0.28", "arvo-event-handler@3.0.25", "zod@3.25.76")
XSTATE: Final = ("xstate@5.24.0",)
INSTALL_SECONDS_MAX: Final = 180
# Node compiles what it has called often: a row is called so often before it is measured.
WARM_UP_CALLS: Final = 2_000
# Processor time of a run: it includes the threads that compile and collect, whatever the row does.
MICROSECONDS_PER_RUN: Final = 100_000


def side(row: str) -> Side:
    """Return a side that measures a row of `reference.mjs`, in processor time."""
    cost = _ask(row, WARM_UP_CALLS)
    number = int(MICROSECONDS_PER_RUN / cost) + 1
    # Once more unmeasured: the first run of that length still compiles.
    _ask(row, number)
    return lambda: {"µs": _ask(row, number)}


def _ask(row: str, number: int) -> float:
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{row} {number}\n")
    process.stdin.flush()
    answer = process.stdout.readline().strip()
    if answer == "not installed":
        raise Unmeasured(answer)
    if not answer:
        raise Unmeasured("failed")
    return float(answer)


@cache
def _process() -> "subprocess.Popen[str]":
    if not shutil.which("node"):
        raise Unmeasured("not installed")
    script = Path(__file__).with_name("reference.mjs")
    command = ["node", str(script), str(install_packages())]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    atexit.register(_stop, process)
    return process


def _stop(process: "subprocess.Popen[str]") -> None:
    with process:
        process.terminate()


def install_packages() -> Path:
    """Return the folder of the packages. Those that the registry does not have are left out."""
    if folder := os.environ.get("ARVO_BENCH_NODE"):
        return Path(folder)
    made = Path(tempfile.mkdtemp(prefix="arvo-node-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    (made / "package.json").write_text("{}")
    if shutil.which("npm"):
        for packages in (XSTATE, REFERENCE):
            options = ("--silent", "--no-audit", "--no-fund")
            command = ["npm", "install", *options, *packages]
            # A registry that does not answer is as good as none.
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    command,
                    cwd=made,
                    check=False,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=INSTALL_SECONDS_MAX,
                )
    return made
