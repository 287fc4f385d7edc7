"""Signals: SIGTERM and SIGINT stop a process that serves, at once when they come twice."""

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
# A worker whose handler takes some time, and prints a line when it begins.
PROGRAM = """
    import asyncio, sys
    from arvo import Client, Effects, Emit, Runtime, System, call
    from tests.shop import CardCharged, charge_request, payment_handler

    async def slow() -> None:
        print("begun", flush=True)
        await asyncio.sleep(float(sys.argv[2]))

    def pay(event) -> Effects[Emit]:
        yield from call(slow)
        return Emit(CardCharged("r"))

    async def main() -> None:
        runtime = Runtime(System([payment_handler(pay)]), sys.argv[1])
        await Client.send(runtime, charge_request())
        await runtime.serve()
        print(runtime.stats().handled, flush=True)

    asyncio.run(main())
"""


@contextmanager
def start_worker(folder: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Start the program, and wait until its handler has begun."""
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


def test_a_stop_signal_lets_the_handlers_finish(tmp_path: Path) -> None:
    """A deployment interrupts no payment."""
    with start_worker(tmp_path, 0.5) as process:
        process.send_signal(signal.SIGTERM)

        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "1\n", "")


def test_a_second_stop_signal_cancels_the_handlers(tmp_path: Path) -> None:
    """Their deliveries were not committed, and are delivered again."""
    with start_worker(tmp_path, 60) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)

        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "0\n", "")
    assert time.monotonic() - began < 15
    with start_worker(tmp_path, 0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
