"""Pulse: how a worker tells whoever started it that its event loop turns, and that it is ready."""

import asyncio
import os
import sys
from contextlib import suppress
from typing import Final

from attrs import define

from arvo.interpreters.runtime.runtime import Runtime

BEAT_SECONDS: Final = 1.0
REACH_SECONDS: Final = 5.0
# A worker that reached its backend so lately is ready; one question may be lost.
LATELY_SECONDS: Final = 15.0
# One that has beaten so lately is alive. Ten beats: a busy machine loses some.
ALIVE_SECONDS: Final = 10.0
# For want of beats it is only killed after minutes: a handler's function runs in the event loop,
# and may compute for long.
HUNG_SECONDS: Final = 300.0
HUNG_SECONDS_MIN: Final = 5.0

_READY: Final = b"r"
_BUSY: Final = b"-"


@define
class Pulse:
    """What is known of one worker: its *process*, where one runs, how often it was started, and
    what it last said.
    """

    process: int | None = None
    starts: int = 0
    _beat_at: float | None = None
    _ready: bool = False

    def began(self, process: int) -> None:
        """Note that a new process runs, which has said nothing yet."""
        self.process, self.starts = process, self.starts + 1
        self.heard(b"")

    def ended(self) -> None:
        """Note that none runs."""
        self.process = None
        self.heard(b"")

    def heard(self, said: bytes, now: float | None = None) -> None:
        """Note what it said; the last word counts."""
        self._beat_at, self._ready = now, said.endswith(_READY)

    def is_alive(self, now: float) -> bool:
        """Tell whether its event loop has turned lately."""
        return self._beat_at is not None and now - self._beat_at < ALIVE_SECONDS

    def is_ready(self, now: float) -> bool:
        """Tell whether it lives, takes events, and has reached its backend lately."""
        return self._ready and self.is_alive(now)


def lend_stdout() -> int:
    """Take the standard output for beats, and let what handlers print go beside it."""
    beats = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if sys.platform != "win32":
        # A supervisor that is stopped for days shall not stop us.
        os.set_blocking(beats, False)
    return beats


async def beat(runtime: Runtime, beats: int) -> None:
    """Say again and again that the loop turns, and whether the runtime is ready."""
    clock, reached_at = asyncio.get_running_loop().time, float("-inf")

    async def reach() -> None:
        nonlocal reached_at
        while True:
            if await runtime.is_reachable():
                reached_at = clock()
            await asyncio.sleep(REACH_SECONDS)

    # Beside the beats, for a backend may be slow to answer.
    async with asyncio.TaskGroup() as group:
        group.create_task(reach())
        while True:
            ready = runtime.is_working and clock() - reached_at < LATELY_SECONDS
            # Where nobody reads any more, this process is told so by its other pipe.
            with suppress(OSError):
                os.write(beats, _READY if ready else _BUSY)
            await asyncio.sleep(BEAT_SECONDS)
