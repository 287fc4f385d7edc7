"""Crew: worker processes on one backend, named by its URL, and what they must have achieved."""

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from arvo.engine.run import run
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import Backend, Message, Unavailable
from arvo.interpreters.runtime.backends import connect
from tests.processes.shift import TURNS, beginning, expected, sums, system, total_of

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0
CHANCE = random.Random(7)  # noqa: S311 - no secret
# Events on their way to the backend at once, and workflows that are looked at at once.
AT_ONCE = 64


@define
class Crew:
    """Worker processes on the backend of a URL."""

    url: str
    processes: list["subprocess.Popen[str]"] = field(factory=list)

    def hire(self) -> "subprocess.Popen[str]":
        """Start one more, and wait until it works."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.shift", self.url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        self.processes.append(process)
        return process

    def kill(self, process: "subprocess.Popen[str]") -> None:
        """Kill one: it has no time to say anything."""
        process.kill()
        self._gone(process)

    def dismiss(self) -> None:
        """Ask all to stop, and wait."""
        for process in list(self.processes):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in list(self.processes):
            assert process.wait(20) == 0
            self._gone(process)

    def _gone(self, process: "subprocess.Popen[str]") -> None:
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        self.processes.remove(process)


@contextmanager
def crew(url: str, number: int) -> Iterator[Crew]:
    hired = Crew(url)
    try:
        for _ in range(number):
            hired.hire()
        yield hired
    finally:
        for process in list(hired.processes):
            hired.kill(process)


def begin(url: str, numbers: range, copies: int = 1) -> None:
    """Send the events that begin workflows; several copies of each, in any order."""

    async def go() -> None:
        backend = connect(url)
        events = [beginning(number) for number in numbers for _ in range(copies)]
        CHANCE.shuffle(events)
        for start in range(0, len(events), AT_ONCE):
            await asyncio.gather(
                *(
                    backend.send(Message(event, ToHandler(sums.type, event.subject)))
                    for event in events[start : start + AT_ONCE]
                )
            )
        await backend.close()

    asyncio.run(go())


def repeat(url: str, numbers: range) -> int:
    """Send each reply again that a workflow has asked for by now; gives how many.

    Whether it was answered already or not: which of the copies comes first is no matter.
    """

    async def go() -> int:
        backend, sent = connect(url), 0
        for number in numbers:
            # Ids follow from what was consumed, so this run makes the same replies.
            trace = run(system, beginning(number))
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


def wait_for_all(url: str, number: int, patience: float = PATIENCE_SECONDS) -> None:
    """Wait until every workflow is done and nothing is under way, by what any backend can tell."""

    async def go() -> None:
        backend = connect(url)
        waiting = list(range(number))
        deadline = asyncio.get_running_loop().time() + patience
        total = -1
        while waiting or total:
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"{len(waiting)} of {number} not done ({waiting[:5]}), {total} to do"
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
    """Nothing lost, nothing doubled: each workflow ended right, in as many turns as it takes.

    A turn too many is an event that was consumed twice. Where the backend tells the past, each
    event stands in it once.
    """

    async def go() -> None:
        backend = connect(url)
        for each in range(number):
            subject = beginning(each).subject
            record = await backend.load(subject)
            assert record is not None
            assert (record.status, record.revision) == ("done", TURNS), record
            assert total_of(record) == expected(each)
            events = [
                (line.kind, line.event.source, line.event.id)
                for line in await backend.history(subject)
                if line.event is not None
            ]
            assert [event for event, times in Counter(events).items() if times > 1] == []
        dead_letters = await backend.dead_letters()
        await backend.close()
        assert dead_letters == ()

    asyncio.run(go())


async def _is_done(backend: Backend, number: int) -> bool:
    record = await backend.load(beginning(number).subject)
    return record is not None and record.status == "done"
