"""Signals: SIGTERM and SIGINT stop a process that serves, at once when they come twice."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
# The longest time that a test waits for the worker.
TIMEOUT_SECONDS = 60
# A worker whose handler takes some time. It prints a line when the handler begins, one when the
# worker begins to stop, and the number of events that it has handled.
PROGRAM = """
    import asyncio, sys
    from arvo import Client, Effects, Emit, Runtime, System, call
    from tests.shop import CardCharged, charge_request, payment_handler

    begun = asyncio.Event()

    async def slow() -> None:
        print("begun", flush=True)
        begun.set()
        await asyncio.sleep(float(sys.argv[2]))

    def pay(event) -> Effects[Emit]:
        yield from call(slow)
        return Emit(CardCharged("r"))

    async def report_stop(runtime: Runtime) -> None:
        await begun.wait()
        while runtime.is_working:
            await asyncio.sleep(0.005)
        print("stopping", flush=True)

    async def main() -> None:
        runtime = Runtime(System([payment_handler(pay)]), sys.argv[1])
        await Client.send(runtime, charge_request())
        reporting = asyncio.create_task(report_stop(runtime))
        await runtime.serve(timeout=3600)
        await reporting
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
    # Without it, a read from a worker that prints nothing would never end.
    killer = threading.Timer(2 * TIMEOUT_SECONDS, process.kill)
    killer.start()
    try:
        assert read_line(process) == "begun\n"
        yield process
    finally:
        killer.cancel()
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that the worker prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_stop_signal_lets_the_handlers_finish(tmp_path: Path) -> None:
    """A deployment interrupts no payment."""
    with start_worker(tmp_path, 0.5) as process:
        process.send_signal(signal.SIGTERM)

        out, err = process.communicate(timeout=TIMEOUT_SECONDS)

    assert (process.returncode, out, err) == (0, "stopping\n1\n", "")


def test_a_second_stop_signal_cancels_the_handlers(tmp_path: Path) -> None:
    """Their deliveries were not committed, and are delivered again."""
    with start_worker(tmp_path, 3600) as process:
        process.send_signal(signal.SIGINT)
        assert read_line(process) == "stopping\n"
        process.send_signal(signal.SIGINT)

        out, err = process.communicate(timeout=TIMEOUT_SECONDS)

    assert (process.returncode, out, err) == (0, "0\n", "")
    # `start_worker` waits until the handler has begun again.
    with start_worker(tmp_path, 0):
        pass
