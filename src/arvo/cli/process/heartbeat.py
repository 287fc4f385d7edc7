"""Heartbeat: how a worker reports to its supervisor that its event loop runs and it is ready."""

import asyncio
import os
import sys
from contextlib import suppress
from typing import Final

from attrs import define

from arvo.interpreters.runtime.runtime import Runtime

BEAT_SECONDS: Final = 1.0
PROBE_SECONDS: Final = 5.0
# A worker is ready if it reached its backend within this time; one failed probe is tolerated.
REACHED_SECONDS: Final = 15.0
# A worker is alive if a heartbeat arrived within this time: ten, as a busy machine loses some.
ALIVE_SECONDS: Final = 10.0
# A silent worker is killed only after minutes: a handler runs in the event loop and may compute
# for long.
HANG_SECONDS: Final = 300.0
HANG_SECONDS_MIN: Final = 5.0

_READY: Final = b"r"
_BUSY: Final = b"-"


@define
class Heartbeat:
    """The state of one worker: its *process* id (None: not running), the number of starts, and its
    last heartbeat.
    """

    process: int | None = None
    starts: int = 0
    _received_at: float | None = None
    _ready: bool = False

    def started(self, process: int) -> None:
        """Record that a new process runs; it has sent no heartbeat yet."""
        self.process, self.starts = process, self.starts + 1
        self.received(b"")

    def exited(self) -> None:
        """Record that the process has exited."""
        self.process = None
        self.received(b"")

    def received(self, beats: bytes, now: float | None = None) -> None:
        """Record heartbeats; the last one counts."""
        self._received_at, self._ready = now, beats.endswith(_READY)

    def is_alive(self, now: float) -> bool:
        """Return True if its event loop has run within `ALIVE_SECONDS`."""
        return self._received_at is not None and now - self._received_at < ALIVE_SECONDS

    def is_ready(self, now: float) -> bool:
        """Return True if it is alive, takes events and has reached its backend recently."""
        return self._ready and self.is_alive(now)


def redirect_stdout() -> int:
    """Reserve standard output for heartbeats; handlers' prints go to standard error instead.

    Returns the file descriptor to write heartbeats to.
    """
    descriptor = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if sys.platform != "win32":
        # A supervisor that is stopped (SIGSTOP) must not block the worker on a full pipe.
        os.set_blocking(descriptor, False)
    return descriptor


async def send_heartbeats(runtime: Runtime, descriptor: int) -> None:
    """Send a heartbeat every `BEAT_SECONDS`, with whether the runtime is ready."""
    clock, reached_at = asyncio.get_running_loop().time, float("-inf")

    async def probe() -> None:
        nonlocal reached_at
        while True:
            if await runtime.is_reachable():
                reached_at = clock()
            await asyncio.sleep(PROBE_SECONDS)

    # A task of its own: a slow backend must not delay the heartbeats.
    async with asyncio.TaskGroup() as group:
        group.create_task(probe())
        while True:
            ready = runtime.is_working and clock() - reached_at < REACHED_SECONDS
            # A supervisor that is gone is noticed by the worker's standard input, not here.
            with suppress(OSError):
                os.write(descriptor, _READY if ready else _BUSY)
            await asyncio.sleep(BEAT_SECONDS)
