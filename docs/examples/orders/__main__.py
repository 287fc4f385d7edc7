"""The example as a program: `python -m docs.examples.orders --help`."""

import os
import signal
import sys
from types import FrameType


def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - Python's signature
    # No exception: the import system may be running, which swallows some and prints a traceback.
    os.write(2, b"stopped\n")
    os._exit(130)


# The imports take most of the first second, in which Ctrl-C may come too.
signal.signal(signal.SIGINT, stop)

from docs.examples.orders.program import main  # noqa: E402 - after the handler

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    code = main()
except KeyboardInterrupt:
    sys.stderr.write("stopped\n")
    code = 130
sys.exit(code)
