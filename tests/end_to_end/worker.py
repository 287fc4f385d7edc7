"""Worker: a process that runs a version of the system on a backend, and writes the book."""

import asyncio
import itertools
import random
import signal
import time
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path
from typing import Any, cast

from arvo import Backend, Event, Runtime, Subject, Unavailable
from arvo.interpreters.ports.results import CommitResult
from arvo.interpreters.runtime.backends import backend_from_url
from tests.end_to_end.book import Book
from tests.end_to_end.system import CALLER, Code, end_process, make_systems

# The longest that a call takes: long enough that some faults hit one.
CALL_SECONDS_MAX = 0.02


class Calls:
    """What workflows call in this process: each call writes the book, and takes a little time."""

    def __init__(self, book: Book) -> None:
        self.book, self._numbers = book, itertools.count(1)

    async def perform(self, run: int, key: str) -> str:
        """Make a call of a workflow; returns its name in the book."""
        call = self._begin(run, key)
        await asyncio.sleep(_duration())
        self.book.write("end", run, key, call=call)
        return call

    def perform_in_thread(self, run: int, key: str) -> str:
        """Make a call of a workflow in a thread."""
        call = self._begin(run, key)
        time.sleep(_duration())
        self.book.write("end", run, key, call=call)
        return call

    def poison(self, run: int, event: str) -> None:
        """End this process."""
        self.book.write("poisoned", run, event)
        end_process()

    async def receive_outcome(self, event: Event[Any]) -> None:
        """Receive the outcome of a workflow, at the address of its caller."""
        run = int(Subject.parse(event.subject).execution.id.removeprefix("run-"))
        detail = {"id": event.id, "type": event.type, "data": event.raw}
        call = self._begin(run, "outcome", detail)
        self.book.write("end", run, "outcome", call=call)

    def _begin(self, run: int, key: str, detail: Any = None) -> str:
        # Threads call this too: `next` of a count is atomic.
        call = f"{self.book.pid}-{next(self._numbers)}"
        self.book.write("begin", run, key, call=call, detail=detail)
        return call


class Flaky:
    """A backend that is unavailable for a share of its commits, by chance."""

    def __init__(self, inner: Backend, outages: float) -> None:
        self.inner, self.outages = inner, outages

    async def commit(self, *commit: Any) -> CommitResult:
        """Apply a commit, or raise `Unavailable`."""
        if random.random() < self.outages:  # noqa: S311 - no secret
            raise Unavailable("an outage of one commit")
        return await self.inner.commit(*commit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def run_worker(
    url: str, path: Path, version: str, outages: float, is_working: ProcessEvent
) -> None:
    """Work on a backend until SIGTERM; set *is_working* when it works."""
    asyncio.run(_work(url, Book(path), version, outages, is_working))


async def _work(
    url: str, book: Book, version: str, outages: float, is_working: ProcessEvent
) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    calls = Calls(book)
    systems = make_systems(Code(calls.perform, calls.perform_in_thread, calls.poison))
    backend = backend_from_url(url)
    if outages:
        backend = cast("Backend", Flaky(backend, outages))
    runtime = Runtime(systems[version], backend)
    runtime.on_address(CALLER)(calls.receive_outcome)
    async with runtime:
        book.write("started", detail=version)
        is_working.set()
        await stop.wait()


def _duration() -> float:
    return random.uniform(0.0, CALL_SECONDS_MAX)  # noqa: S311 - no secret
