"""Interrupts: what a process does that is told to stop."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
# A worker whose handler takes a while, and says when it has begun.
PROGRAM = """
    import asyncio, sys
    from arvo import Desk, Effects, Emit, Runtime, System, call
    from tests.shop import CardCharged, charging, paying

    async def slow() -> None:
        print("begun", flush=True)
        await asyncio.sleep(float(sys.argv[2]))

    def pay(event) -> Effects[Emit]:
        yield from call(slow)
        return Emit(CardCharged("r"))

    async def main() -> None:
        runtime = Runtime(System([paying(pay)]), sys.argv[1])
        await Desk.send(runtime, charging())
        await runtime.serve()
        print(runtime.stats().handled, flush=True)

    asyncio.run(main())
"""


@contextmanager
def worker(folder: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Run the program until its handler has begun."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(PROGRAM),
            f"sqlite:///{folder / 'arvo.db'}",
            str(seconds),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_worker_that_is_told_to_stop_finishes_what_is_in_hand(tmp_path: Path) -> None:
    """A deployment interrupts no payment."""
    with worker(tmp_path, 0.5) as process:
        process.send_signal(signal.SIGTERM)

        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "1\n", "")


def test_a_worker_that_is_told_twice_stops_at_once(tmp_path: Path) -> None:
    """What it has in hand is not committed, and is handed out again."""
    with worker(tmp_path, 60) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)

        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "0\n", "")
    assert time.monotonic() - began < 15
    with worker(tmp_path, 0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
