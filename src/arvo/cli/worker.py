"""Worker: one of the processes that `arvo run` starts."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from arvo.cli.errors import TOLD, line_of
from arvo.cli.heartbeat import beat, lend_stdout
from arvo.cli.load import load_runtime
from arvo.cli.output import tell
from arvo.interpreters.runtime.runtime import Runtime

# Tells whoever started it that starting it again would not help.
HOPELESS: Final = 2
_STDIN: Final = 0


def work(arguments: Sequence[str]) -> int:
    """Work on a backend until told to stop; gives the exit code."""
    name, backend, seconds = arguments
    logging.basicConfig(format=f"arvo[{os.getpid()}]: %(message)s", level=logging.WARNING)
    threading.Thread(target=_watch, daemon=True).start()
    beats = lend_stdout()
    try:
        asyncio.run(_serve(load_runtime(name, backend), float(seconds), beats))
    except TOLD as error:
        tell(line_of(error))
        return HOPELESS
    return 0


async def _serve(runtime: Runtime, seconds: float, beats: int) -> None:
    beating = asyncio.create_task(beat(runtime, beats))
    try:
        await runtime.serve(seconds)
    finally:
        beating.cancel()


def _watch() -> None:
    """Stop when whoever started this process is gone, and its end of the pipe with it."""
    # Not `sys.stdin.read`: a thread that waits in it keeps the interpreter from ending.
    with suppress(OSError):
        while os.read(_STDIN, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(work(sys.argv[1:]))
