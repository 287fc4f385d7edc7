"""Program: the process of `arvo dev` that has the system: a worker and the console."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from arvo.cli.dev.clock import clock_file, restore_clock, store_clock
from arvo.cli.dev.place import find_place
from arvo.cli.process.log import LogOptions
from arvo.cli.process.worker import EXIT_UNRECOVERABLE, stop_with_parent
from arvo.cli.terminal.errors import REPORTED_ERRORS, UsageError, format_error
from arvo.cli.terminal.load import BACKEND_VARIABLE, load_runtime
from arvo.cli.terminal.output import print_status
from arvo.console.dev.deliveries import Deliveries, HandledDelivery
from arvo.console.dev.observer import DeliveryObserver
from arvo.console.dev.pages import dev_extension, duration_text
from arvo.console.serve import serving
from arvo.interpreters.delivery.backend_url import show_url
from arvo.interpreters.runtime.runtime import Runtime
from arvo.interpreters.runtime.signals import on_interrupt
from arvo.printable import printable

# How often it is asked whether a worker broke.
POLL_SECONDS: Final = 0.5


def run_program(arguments: Sequence[str]) -> int:
    """Run the system until a signal stops this process, and return the exit code."""
    name, descriptor, seconds = arguments
    backend = os.environ[BACKEND_VARIABLE]
    LogOptions().configure()
    threading.Thread(target=stop_with_parent, daemon=True).start()
    # Python takes a file that was changed twice within a second for the first of the two.
    sys.dont_write_bytecode = True
    file = clock_file(backend)
    try:
        restore_clock(file or Path())
        runtime = load_runtime(name, backend)
        for issue in runtime.system.check():
            print_status(f"check: {issue}")
        with socket.socket(fileno=int(descriptor)) as listening:
            asyncio.run(_serve(runtime, listening, float(seconds), file))
    except REPORTED_ERRORS as error:
        place = find_place(error, Path.cwd()) if isinstance(error, UsageError) else None
        print_status(f"{place}: {format_error(error)}" if place else format_error(error))
        return EXIT_UNRECOVERABLE
    return 0


async def _serve(
    runtime: Runtime, listening: socket.socket, seconds: float, file: Path | None
) -> None:
    deliveries = _observe(runtime)
    extension = dev_extension(deliveries, None if file is None else partial(store_clock, file))
    backend, stopping = show_url(os.environ[BACKEND_VARIABLE]), asyncio.Event()
    with on_interrupt(stopping.set):
        async with runtime:
            async with serving(runtime, listening, backend=backend, extension=extension):
                host, port = listening.getsockname()[:2]
                print_status(f"console on http://{f'[{host}]' if ':' in host else host}:{port}/")
                await _wait(runtime, stopping)
            await runtime.stop(seconds)


def _observe(runtime: Runtime) -> Deliveries | None:
    if runtime.is_observed:
        print_status("the runtime has an observer of its own, so deliveries are not listed")
        return None
    deliveries = Deliveries(_print_delivery)
    runtime.observe(DeliveryObserver(deliveries))
    return deliveries


def _print_delivery(delivery: HandledDelivery) -> None:
    outcome = delivery.outcome
    if delivery.attempt > 1:
        outcome += f", attempt {delivery.attempt}"
    took = duration_text(delivery.seconds)
    at = f"{delivery.at.astimezone():%H:%M:%S.%f}"[:-3]
    parts = (at, delivery.type, delivery.name, outcome, took)
    with suppress(OSError):  # a pipe that ended must not end the delivery
        sys.stdout.write(f"{printable('  '.join(parts))}\n")
        sys.stdout.flush()


async def _wait(runtime: Runtime, stopping: asyncio.Event) -> None:
    """Wait for a signal; raises the exception of a worker that breaks first."""
    while not stopping.is_set():
        if not runtime.is_working:
            await runtime.drain()  # raises it
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await stopping.wait()


if __name__ == "__main__":
    sys.exit(run_program(sys.argv[1:]))
