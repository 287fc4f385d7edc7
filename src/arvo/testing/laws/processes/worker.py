"""Worker: the main module of a process that replays steps, one request after the other."""

import os
import pickle
import struct
import sys
from typing import Any, BinaryIO, Final

from arvo.interrupts import is_interrupt

# The length of what follows.
HEADER: Final = struct.Struct(">Q")


def main() -> None:
    """Answer requests on the standard input until it ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a handler prints must not come between two answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (request := read_frame(requests)) is not None:
        write_frame(answers, pickle.dumps(_answer(request)))


def _answer(request: bytes) -> Any:
    """Return the results of a request, or the error as a text."""
    from arvo.testing.laws.processes.replay import replay

    try:
        path, job = pickle.loads(request)  # noqa: S301 - the parent process wrote it
        sys.path[:] = path
        return replay(*pickle.loads(job))  # noqa: S301
    except BaseException as error:
        if is_interrupt(error):
            raise
        return f"{type(error).__name__}: {error}"


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame, or None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (size,) = HEADER.unpack(header)
    data = stream.read(size)
    return data if len(data) == size else None


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write a frame."""
    stream.write(HEADER.pack(len(data)) + data)
    stream.flush()


if __name__ == "__main__":
    main()
