"""Fleet: worker processes that are killed, frozen, restarted and replaced, and the book of it."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from attrs import define, field

from tests.end_to_end.book import Book
from tests.end_to_end.worker import run_worker
from tests.forked import POLL_SECONDS, Forked


@define(eq=False)
class Slot:
    """A place for one worker process of a *version*. *lock*: held while something happens to it."""

    version: str
    process: Forked | None = None
    lock: threading.Lock = field(factory=threading.Lock)

    @property
    def running(self) -> Forked:
        """The process, which was started."""
        assert self.process is not None
        return self.process


@define(eq=False)
class Fleet:
    """*number* workers on the backend of a URL; another process follows each that ends.

    The book gets a line for each thing that happens to a process.
    """

    url: str
    book: Book
    number: int
    chance: random.Random
    outages: float = 0.0
    slots: list[Slot] = field(init=False)
    _ending: threading.Event = field(factory=threading.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.slots = [Slot("old") for _ in range(self.number)]

    def open(self) -> None:
        """Start all processes at the same time, and wait until they work."""
        for slot in self.slots:
            self._launch(slot)
        for slot in self.slots:
            assert slot.running.wait_until_working(), "a worker ended before any fault"

    def start(self, slot: Slot) -> None:
        """Start a process in a slot, and wait until it works."""
        self._launch(slot)
        # If it has ended, `supervise` starts another one.
        slot.running.wait_until_working()

    def kill(self) -> None:
        """Send SIGKILL to one process, and start another one."""
        with self._any() as slot:
            self.book.write("killing", pid=slot.running.pid)
            slot.running.signal(signal.SIGKILL)
            self._ended(slot, "killed")
            self.start(slot)

    def restart(self) -> None:
        """Stop one process with SIGTERM, and start another one."""
        with self._any() as slot:
            self._stop(slot, "restart")
            self.start(slot)

    def deploy(self) -> None:
        """Replace an old process by one of the new version."""
        old = [slot for slot in self.slots if slot.version == "old"]
        slot = self.chance.choice(old)
        with slot.lock:
            self._stop(slot, "deploy")
            slot.version = "new"
            self.start(slot)

    def freeze(self, seconds: float, may_freeze: Callable[[], bool]) -> None:
        """Send SIGSTOP to one process, and SIGCONT after some seconds."""
        with self._any() as slot:
            pid = slot.running.pid
            self.book.write("freezing", pid=pid)
            if self._freeze(slot, may_freeze):
                time.sleep(seconds)
                os.kill(pid, signal.SIGCONT)
                self.book.write("thawed", pid=pid)

    def supervise(self) -> None:
        """Start a process in each slot whose process has ended, until `stop`."""
        while not self._ending.wait(POLL_SECONDS):
            for slot in self.slots:
                if not slot.lock.acquire(blocking=False):
                    continue
                try:
                    if not slot.running.is_alive():
                        self._ended(slot, "died")
                        self.start(slot)
                finally:
                    slot.lock.release()

    def end(self) -> None:
        """Start no more processes."""
        self._ending.set()

    def stop(self) -> None:
        """Stop all processes with SIGTERM, at the same time."""
        self.end()
        for slot in self.slots:
            slot.lock.acquire()
            self.book.write("stopping", pid=slot.running.pid, detail="end")
            slot.running.signal(signal.SIGTERM)
        for slot in self.slots:
            self._ended(slot, "stopped")

    def close(self) -> None:
        """Kill what still runs, after a test that failed."""
        self.end()
        for slot in self.slots:
            if slot.process is not None:
                slot.process.signal(signal.SIGKILL)
                slot.process.wait()

    def _launch(self, slot: Slot) -> None:
        slot.process = Forked.start(
            run_worker, self.url, self.book.path, slot.version, self.outages
        )

    @contextmanager
    def _any(self) -> Iterator[Slot]:
        """Choose a slot to which nothing happens now, and whose process runs."""
        while True:
            slot = self.chance.choice(self.slots)
            with slot.lock:
                if slot.running.is_alive():
                    yield slot
                    return
            # Its process has ended, and `supervise` starts another one.
            time.sleep(POLL_SECONDS)

    def _freeze(self, slot: Slot, may_freeze: Callable[[], bool]) -> bool:
        """Freeze a process where it blocks no other one; return False if it has ended instead."""
        while slot.running.is_alive():
            os.kill(slot.running.pid, signal.SIGSTOP)
            # A thread that waits for a lock of the kernel gets it, and stops then.
            while slot.running.is_alive() and not _is_stopped(slot.running.pid):
                time.sleep(0.001)
            if may_freeze():
                return True
            os.kill(slot.running.pid, signal.SIGCONT)
            time.sleep(POLL_SECONDS)
        return False

    def _stop(self, slot: Slot, reason: str) -> None:
        self.book.write("stopping", pid=slot.running.pid, detail=reason)
        slot.running.signal(signal.SIGTERM)
        self._ended(slot, "stopped")

    def _ended(self, slot: Slot, kind: Literal["killed", "died", "stopped"]) -> None:
        self.book.write(kind, pid=slot.running.pid, detail=slot.running.wait())


def _is_stopped(pid: int) -> bool:
    """Return whether all threads of a process are stopped."""
    tasks = Path(f"/proc/{pid}/task")
    try:
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()
        ]
    except OSError:
        return False
    return set(states) <= {"T"}
