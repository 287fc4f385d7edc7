"""Worker: a process that runs a version of the system on a backend, and writes the book."""

import asyncio
import itertools
import random
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

from arvo import Backend, Event, Runtime, Subject, Unavailable
from arvo.core.commit import Commit
from arvo.interpreters.ports.chains import CommitChain, CommitsChains
from arvo.interpreters.ports.messages import Delivery, Message, Progress
from arvo.interpreters.ports.results import CheckpointResult, CommitResult, Committed, Duplicate
from arvo.interpreters.runtime.backends import backend_from_url
from tests.end_to_end.book import Book, Kind
from tests.end_to_end.system import CALLER, Code, end_process, make_systems

# The longest that a call takes: long enough that some faults hit one.
CALL_SECONDS_MAX = 0.02
# How often a worker looks at the clock, and what it writes down as a stall: much less than a lease.
BEAT_SECONDS = 0.1
STALL_SECONDS = 1.0


# The name of a call, which is its result.
CALL = re.compile(r"\d+-\d+")
# The delivery that this task processes, by its name in the book.
current_delivery: ContextVar[str] = ContextVar("current_delivery", default="")


class Calls:
    """What workflows call in this process: each call writes the book, and takes a little time.

    *name_of* returns the name of the last delivery of an event.
    """

    def __init__(self, book: Book, name_of: Callable[[str], str]) -> None:
        self.book, self.name_of, self._numbers = book, name_of, itertools.count(1)

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
        # A listener has a task of its own.
        current_delivery.set(self.name_of(event.id))
        call = self._begin(run, "outcome", detail)
        self.book.write("end", run, "outcome", call=call)

    def _begin(self, run: int, key: str, detail: Any = None) -> str:
        # Threads call this too: `next` of a count is atomic.
        call = f"{self.book.pid}-{next(self._numbers)}"
        delivery = current_delivery.get()
        self.book.write("begin", run, key, call=call, detail=detail, delivery=delivery)
        return call


class Observed:
    """A backend that writes its deliveries into the book, and is unavailable for a share of its
    commits, by chance.
    """

    def __init__(self, inner: Backend, book: Book, outages: float) -> None:
        self.inner, self.book, self.outages = inner, book, outages
        self._numbers, self._names = itertools.count(1), dict[str, str]()

    async def receive(self, queue: str) -> Delivery:
        """Receive a delivery; the calls of this task are made for it."""
        delivery = await self.inner.receive(queue)
        current_delivery.set(self._receive(delivery))
        return delivery

    async def poll(self, queues: Mapping[str, int], limit: int) -> Sequence[Delivery]:
        """Receive what is ready. Those that make calls read their progress in a task of their own;
        the calls of that task are made for it.
        """
        deliveries = await self.chained.poll(queues, limit)
        for delivery in deliveries:
            _begin_by_reading(delivery.progress, self._receive(delivery))
        return deliveries

    async def commit_chains(self, chains: Sequence[CommitChain]) -> Sequence[bool]:
        """Apply chains, or raise `Unavailable`."""
        if random.random() < self.outages:  # noqa: S311 - no secret
            raise Unavailable("an outage of the commit of a tick")
        for chain in chains:
            events = [event.id for commit in chain.commits for event in commit.events]
            events += [timer.event.id for commit in chain.commits for timer in commit.timers]
            for follower in chain.deliveries[1:]:
                self._receive(follower)
            for delivery in chain.deliveries:
                self._write("committing", delivery, [delivery.message.event.id, *events])
        try:
            applied = await self.chained.commit_chains(chains)
        except Unavailable:
            for chain in chains:
                for delivery in chain.deliveries:
                    self._write("unanswered", delivery)
            raise
        for chain, is_applied in zip(chains, applied, strict=True):
            for delivery in chain.deliveries if is_applied else ():
                self._write("settled", delivery)
        return applied

    @property
    def chained(self) -> CommitsChains:
        """The backend as one that commits chains; each of the places does."""
        return cast("CommitsChains", self.inner)

    def _receive(self, delivery: Delivery) -> str:
        """Name a delivery, and write it into the book."""
        name, event = f"{self.book.pid}-{next(self._numbers)}", delivery.message.event.id
        self._names[event] = name
        self.book.write("received", key=event, detail=delivery.attempt, delivery=name)
        return name

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of calls."""
        result = await self.inner.checkpoint(delivery, progress)
        if isinstance(result, Committed):
            self._write("stored", delivery, CALL.findall(progress.decode()))
        return result

    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Sequence[Message], *dead: Any
    ) -> CommitResult:
        """Apply a commit, or raise `Unavailable`."""
        if random.random() < self.outages:  # noqa: S311 - no secret
            raise Unavailable("an outage of one commit")
        events = [each.event.id for each in messages] + [each.event.id for each in commit.timers]
        # A cancellation may take the place of the event that was delivered.
        self._write("committing", delivery, [commit.event.id, *events])
        try:
            result = await self.inner.commit(delivery, commit, messages, *dead)
        except Unavailable:
            self._write("unanswered", delivery)
            raise
        if isinstance(result, Committed | Duplicate):
            self._write("settled", delivery)
        return result

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery."""
        await self.inner.ack(delivery)
        self._write("settled", delivery)

    def name(self, event: str) -> str:
        """Return the name of the last delivery of an event."""
        return self._names[event]

    def _write(self, kind: Kind, delivery: Delivery, detail: Any = None) -> None:
        event = delivery.message.event.id
        self.book.write(kind, key=event, detail=detail, delivery=self._names[event])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _begin_by_reading(progress: Progress, name: str) -> None:
    """Let the task that reads the progress of a delivery make its calls for that delivery."""
    stored, read_stored = progress.data, progress.read

    async def read() -> bytes:
        current_delivery.set(name)
        # A pair reads it only now.
        return await read_stored() if stored is None and read_stored is not None else stored or b""

    progress.data, progress.read = None, read


def run_worker(
    url: str, path: Path, version: str, outages: float, report: Callable[[], None]
) -> None:
    """Work on a backend until SIGTERM; call *report* when it works."""
    asyncio.run(_work(url, Book(path), version, outages, report))


async def _work(
    url: str, book: Book, version: str, outages: float, report: Callable[[], None]
) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    observed = Observed(backend_from_url(url), book, outages)
    calls = Calls(book, observed.name)
    systems = make_systems(Code(calls.perform, calls.perform_in_thread, calls.poison))
    runtime = Runtime(systems[version], cast("Backend", observed))
    runtime.on_address(CALLER)(calls.receive_outcome)
    async with runtime:
        book.write("started", detail=version)
        report()
        beating = asyncio.create_task(_write_stalls(book))
        await stop.wait()
        beating.cancel()


async def _write_stalls(book: Book) -> None:
    """Write down when this process had no processor: it loses its deliveries as by a freeze."""
    before = time.monotonic()
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        now = time.monotonic()
        if now - before > STALL_SECONDS:
            book.write("stalled", detail=before)
        before = now


def _duration() -> float:
    return random.uniform(0.0, CALL_SECONDS_MAX)  # noqa: S311 - no secret
