"""Forked: worker processes for tests, which start in a moment and may be killed at any time."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, Final

from attrs import define

# Forked from a process that has done nothing but import what a worker imports: an interpreter that
# starts anew needs a second of processor time for that.
_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        "pytest",
        "tests.end_to_end.worker",
        "tests.processes.worker",
        "tests.processes.limits",
        "tests.processes.poison",
        "tests.processes.schedules",
        "tests.processes.keyed",
        *(
            f"arvo.interpreters.{name}"
            for name in ("kafka", "nats", "postgres", "rabbit", "redis", "sqlite")
        ),
    ]
)
# How long a worker may take to stop; on a loaded machine it is slow.
STOP_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
# The exit status of a process comes once, by a pipe. Of two threads that read it the second one
# gets 255 in its place, and a process that starts reads the pipes of all others.
_READING: Final = threading.Lock()


@define(eq=False)
class Forked:
    """A worker process."""

    _process: ForkServerProcess
    _begun: Connection

    @classmethod
    def start(cls, work: Callable[..., None], *arguments: Any) -> "Forked":
        """Run `work(*arguments, report)` in a process; it calls *report* when it works."""
        begun, begins = _PROCESSES.Pipe(duplex=False)
        # A daemon: it ends with this process.
        process = _PROCESSES.Process(target=_run, args=(work, arguments, begins), daemon=True)
        with _READING:
            process.start()
        begins.close()
        return cls(process, begun)

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative if a signal has ended it; None while it runs."""
        with _READING:
            return self._process.exitcode

    def is_alive(self) -> bool:
        """Return whether it runs."""
        return self.status is None

    def wait_until_working(self) -> bool:
        """Wait until it works; returns False if it has ended before that."""
        with suppress(EOFError):
            return bool(self._begun.recv() == "working")
        return False

    def wait(self) -> int:
        """Wait until it has ended, and return the exit status."""
        deadline = time.monotonic() + STOP_SECONDS
        while (status := self.status) is None:
            assert time.monotonic() < deadline, f"{self.pid} did not stop in {STOP_SECONDS} s"
            time.sleep(POLL_SECONDS)
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it has not ended by now."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _end_with_parent() -> None:
    """End this process when the one that started it is killed; a daemon ends with it otherwise."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(work: Callable[..., None], arguments: tuple[Any, ...], begins: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report() -> None:
        begins.send("working")
        begins.close()

    work(*arguments, report)
