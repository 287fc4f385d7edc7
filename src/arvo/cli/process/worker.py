"""Worker: the process that `arvo run` starts once for each worker."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from arvo.cli.process.heartbeat import redirect_stdout, send_heartbeats
from arvo.cli.process.log import LogOptions
from arvo.cli.process.telemetry import install, observe_worker
from arvo.cli.terminal.errors import REPORTED_ERRORS, format_error
from arvo.cli.terminal.load import BACKEND_VARIABLE, load_runtime
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.runtime.runtime import Runtime

# Tells the supervisor that a restart would not help.
EXIT_UNRECOVERABLE: Final = 2
_STDIN: Final = 0


def run_worker(arguments: Sequence[str]) -> int:
    """Run a worker until a signal stops it, and return the exit code."""
    name, seconds, log_format, log_level = arguments
    backend = os.environ[BACKEND_VARIABLE]
    # The supervisor has checked both.
    options = LogOptions(log_format, log_level)  # type: ignore[arg-type]
    options.configure()
    threading.Thread(target=stop_with_parent, daemon=True).start()
    descriptor = redirect_stdout()
    try:
        flush = install(name)
        runtime = load_runtime(name, backend)
        observe_worker(runtime)
        try:
            asyncio.run(_serve(runtime, float(seconds), descriptor))
        finally:
            flush()
    except REPORTED_ERRORS as error:
        options.report(format_error(error))
        return EXIT_UNRECOVERABLE
    return 0


async def _serve(runtime: Runtime, seconds: float, descriptor: int) -> None:
    # Without heartbeats the supervisor kills this process; the log states why they ended.
    heartbeats = supervise(
        send_heartbeats(runtime, descriptor), name="arvo heartbeats", on_failure=lambda _: None
    )
    try:
        await runtime.serve(seconds)
    finally:
        heartbeats.cancel()


def stop_with_parent() -> None:
    """Stop this process when its supervisor is gone: standard input then ends."""
    # Not `sys.stdin.read`: a thread blocked in it keeps the interpreter from exiting.
    with suppress(OSError):
        while os.read(_STDIN, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run_worker(sys.argv[1:]))
