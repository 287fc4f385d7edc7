"""Shift: one worker process, as tests start and kill it: `python -m tests.processes.shift URL`."""

import asyncio
import signal
import sys
from typing import Any

from attrs import evolve, frozen

from arvo import (
    Contract,
    Emit,
    Event,
    EventHandler,
    Flow,
    OrchestratorContract,
    Runtime,
    System,
    Version,
    Workflow,
    ask,
    flow,
    gather,
    sleep,
)
from arvo.core.record import Record
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.runtime.backends import connect
from arvo.interpreters.sqlite import SqliteBackend

# Longer than a test stops a process for, unless it wants the process to be taken for dead.
LEASE_SECONDS = 1.5
# What one workflow takes: its beginning, two replies, a timer, and the last reply.
TURNS = 5


@frozen
class Begin:
    number: int


@frozen
class Done:
    total: int


@frozen
class Add:
    number: int


@frozen
class Added:
    number: int


add = Contract(
    uri="#/processes/add",
    type="com.processes.add",
    versions={"1.0.0": Version(accepts=Add, emits={"evt.processes.added": Added})},
)
sums = OrchestratorContract(
    uri="#/processes/sums",
    name="processes.sums",
    versions={"1.0.0": Workflow(init=Begin, complete=Done)},
)


def added(event: Event[Add]) -> Emit:
    return Emit(Added(event.data.number + 1))


@flow(sums, "1.0.0", services=[add["1.0.0"]])
def summing(event: Event[Begin]) -> Flow[Done]:
    """Two services side by side, a timer, and one more."""
    one, two = yield from gather(
        ask(Add(event.data.number), Added), ask(Add(event.data.number + 1), Added)
    )
    yield from sleep(0.01)
    three = yield from ask(Add(one.number + two.number), Added)
    return Done(three.number)


system = System([EventHandler(add, {"1.0.0": added}), summing])


def expected(number: int) -> int:
    """What the workflow of a number completes with."""
    return 2 * number + 4


def total_of(record: Record) -> object:
    """What a workflow that is done has completed with: it is the last thing it was told."""
    return record.journal[-1]["got"]["data"]["number"]


def beginning(number: int) -> Event[Any]:
    """The event that begins the workflow of a number, always the same."""
    from arvo import Stamp, Subject, stamping

    subject = Subject.new(sums.type, "1.0.0", initiator="com.processes.test", id=f"run-{number}")
    time = "2026-01-02T03:04:05.000+00:00"
    with stamping(lambda: Stamp(f"begin-{number}", time)):
        return sums["1.0.0"].init(Begin(number), source="com.processes.test", subject=subject)


def opened(url: str) -> Backend:
    """The backend of a URL; one with leases gives up the dead as soon as a test may wait."""
    backend = connect(url)
    if isinstance(backend, SqliteBackend | PostgresBackend):
        return evolve(backend, lease=LEASE_SECONDS)
    return backend


async def work(url: str) -> None:
    """Work on a backend until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Runtime(system, opened(url)):
        print("working", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
