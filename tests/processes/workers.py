"""Workers: processes on one backend, the workflows they run, and the check of the outcome."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

from arvo.engine.run import run
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.runtime.backends import backend_from_url
from tests.forked import Forked
from tests.processes.worker import (
    TURNS,
    begin_event,
    expected_total,
    run_worker,
    sums,
    system,
    total_of,
)

# How long the workers may take in all: a loaded machine is slow.
TIMEOUT_SECONDS = 180.0
CHANCE = random.Random(7)  # noqa: S311 - no secret
# Sends and reads that run at once.
CONCURRENCY = 64


@define
class Workers:
    """Worker processes on the backend of a URL."""

    url: str
    work: Callable[[str, Callable[[], None]], None] = run_worker
    processes: list[Forked] = field(factory=list)

    def start(self) -> Forked:
        """Start one process, and wait until it works."""
        process = Forked.start(self.work, self.url)
        self.processes.append(process)
        assert process.wait_until_working()
        return process

    def kill(self, process: Forked) -> None:
        """Send SIGKILL to one process, and wait until it has ended."""
        process.signal(signal.SIGKILL)
        process.wait()
        self.processes.remove(process)

    def stop(self) -> None:
        """Ask all processes to stop, and wait until they have ended well."""
        for process in self.processes:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        assert [process.wait() for process in self.processes] == [0] * len(self.processes)
        self.processes.clear()


@contextmanager
def start_workers(
    url: str, number: int, work: Callable[[str, Callable[[], None]], None] = run_worker
) -> Iterator[Workers]:
    workers = Workers(url, work)
    try:
        for _ in range(number):
            workers.start()
        yield workers
    finally:
        for process in list(workers.processes):
            workers.kill(process)


def begin(url: str, numbers: range, copies: int = 1) -> None:
    """Send the events that begin workflows, several copies of each, in random order."""

    async def go() -> None:
        backend = backend_from_url(url)
        events = [begin_event(number) for number in numbers for _ in range(copies)]
        CHANCE.shuffle(events)
        for start in range(0, len(events), CONCURRENCY):
            await asyncio.gather(
                *(
                    backend.send(Message(event, ToHandler(sums.type, event.subject)))
                    for event in events[start : start + CONCURRENCY]
                )
            )
        await backend.close()

    asyncio.run(go())


def repeat_replies(url: str, numbers: range) -> int:
    """Send the replies again that workflows have asked for by now; return their number.

    A reply may have been received already or not: either copy may come first.
    """

    async def go() -> int:
        backend, sent = backend_from_url(url), 0
        for number in numbers:
            # Ids follow from what was consumed, so this run makes the same replies.
            trace = run(system, begin_event(number))
            record = await backend.load(trace.root.subject)
            for event, to in trace.sent if record is not None else ():
                if (
                    isinstance(to, ToHandler)
                    and record
                    and event.parentid in record.pending_requests
                ):
                    await backend.send(Message(event, to))
                    sent += 1
        await backend.close()
        return sent

    return asyncio.run(go())


def wait_for_all(url: str, number: int, timeout: float = TIMEOUT_SECONDS) -> None:
    """Wait until every workflow is done and the queues are empty, as any backend reports it."""

    async def go() -> None:
        backend = backend_from_url(url)
        waiting = list(range(number))
        deadline = asyncio.get_running_loop().time() + timeout
        total = -1
        while waiting or total:
            is_late = asyncio.get_running_loop().time() > deadline
            assert not is_late, f"{len(waiting)} of {number} not done ({waiting[:5]}), {total} left"
            try:
                waiting = [each for each in waiting if not await _is_done(backend, each)]
                total = (await backend.depth()).total
            except Unavailable:
                total = -1
            if waiting:
                await asyncio.sleep(0.1)
        await backend.close()

    asyncio.run(go())


def check(url: str, number: int) -> None:
    """Check that nothing was lost or doubled: each workflow ended right, in the right turns.

    One turn too many is an event that was consumed twice. Where the backend has histories, each
    event stands in them once.
    """

    async def go() -> None:
        backend = backend_from_url(url)
        for each in range(number):
            subject = begin_event(each).subject
            record = await backend.load(subject)
            assert record is not None
            assert (record.status, record.revision) == ("done", TURNS), record
            assert total_of(record) == expected_total(each)
            events = [
                (entry.kind, entry.event.source, entry.event.id)
                for entry in await backend.history(subject)
                if entry.event is not None
            ]
            assert [event for event, times in Counter(events).items() if times > 1] == []
        dead_letters = await backend.dead_letters()
        await backend.close()
        assert dead_letters == ()

    asyncio.run(go())


async def _is_done(backend: Backend, number: int) -> bool:
    record = await backend.load(begin_event(number).subject)
    return record is not None and record.status == "done"
