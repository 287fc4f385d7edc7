"""Worker: one process that tests start and kill."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from arvo import (
    Contract,
    Emit,
    Event,
    EventHandler,
    Flow,
    OrchestratorContract,
    RedisBroker,
    Runtime,
    Stamp,
    Subject,
    System,
    Version,
    Workflow,
    ask,
    flow,
    gather,
    sleep,
    stamping,
)
from arvo.core.record import Record
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.sqlite import SqliteBackend
from tests.processes import asks, signals

# Short, so that a test does not wait long until a stopped process counts as dead; and long enough
# for a process under load to renew it.
LEASE_SECONDS = 1.5
# The turns of one workflow: its begin, two replies, a timer, and the last reply.
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


def add_one(event: Event[Add]) -> Emit:
    return Emit(Added(event.data.number + 1))


@flow(sums, "1.0.0", services=[add["1.0.0"]])
def sum_up(event: Event[Begin]) -> Flow[Done]:
    """Two calls in parallel, a timer, and one more call."""
    one, two = yield from gather(
        ask(Add(event.data.number), Added), ask(Add(event.data.number + 1), Added)
    )
    yield from sleep(0.01)
    three = yield from ask(Add(one.number + two.number), Added)
    return Done(three.number)


system = System(
    [EventHandler(add, {"1.0.0": add_one}), sum_up, *signals.handlers, asks.count_votes]
)


def expected_total(number: int) -> int:
    """Return what the workflow of a number must complete with."""
    return 2 * number + 4


def total_of(record: Record) -> object:
    """Return what a finished workflow has completed with: the last reply in its journal."""
    return record.journal[-1]["got"]["data"]["number"]


def begin_event(number: int) -> Event[Any]:
    """Return the event that begins the workflow of a number, always the same."""
    subject = Subject.new(sums.type, "1.0.0", initiator="com.processes.test", id=f"run-{number}")
    time = "2026-01-02T03:04:05.000+00:00"
    with stamping(lambda: Stamp(f"begin-{number}", time)):
        return sums["1.0.0"].init(Begin(number), source="com.processes.test", subject=subject)


def open_backend(url: str) -> Backend:
    """Make the backend of a URL, with a short lease where it has leases."""
    backend = backend_from_url(url)
    if isinstance(backend, Pair) and isinstance(backend.broker, RedisBroker):
        backend.broker.lease = LEASE_SECONDS
    if isinstance(backend, SqliteBackend | PostgresBackend):
        return evolve(backend, lease=LEASE_SECONDS)
    return backend


def run_worker(url: str, report: Callable[[], None]) -> None:
    """Work on a backend until SIGTERM; call *report* when it works."""
    asyncio.run(work(system, url, report))


async def work(system: System, url: str, report: Callable[[], None]) -> None:
    """Run a system on a backend until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Runtime(system, open_backend(url)):
        report()
        await stop.wait()
