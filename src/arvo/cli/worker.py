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

from arvo.cli.load import load_runtime
from arvo.cli.mistake import TOLD, line_of
from arvo.cli.say import tell

# Tells whoever started it that starting it again would not help.
HOPELESS: Final = 2
_STDIN: Final = 0


def work(arguments: Sequence[str]) -> int:
    """Work on a backend until told to stop; gives the exit code."""
    name, backend, seconds = arguments
    logging.basicConfig(format=f"arvo[{os.getpid()}]: %(message)s", level=logging.WARNING)
    threading.Thread(target=_watch, daemon=True).start()
    try:
        runtime = load_runtime(name, backend)
        asyncio.run(runtime.serve(float(seconds)))
    except TOLD as error:
        tell(line_of(error))
        return HOPELESS
    return 0


def _watch() -> None:
    """Stop when whoever started this process is gone, and its end of the pipe with it."""
    # Not `sys.stdin.read`: a thread that waits in it keeps the interpreter from ending.
    with suppress(OSError):
        while os.read(_STDIN, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(work(sys.argv[1:]))
