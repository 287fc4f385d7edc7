"""Poison: a worker process that some events end."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from attrs import frozen

from arvo import (
    Backend,
    Commands,
    Complete,
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    OrchestratorContract,
    Persist,
    Resumable,
    Runtime,
    Stamp,
    Subject,
    System,
    Turn,
    Version,
    Workflow,
    call,
    stamping,
)
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.runtime.backends import backend_from_url

# Of Redis; see `open_backend`.
LEASE_SECONDS = 2.0
TESTER = "com.processes.test"


@frozen
class Begin:
    number: int
    how: str = ""


@frozen
class Done:
    total: int


@frozen
class Job:
    number: int
    how: str = ""


@frozen
class JobDone:
    number: int


@frozen
class Add:
    number: int
    how: str = ""


job = Contract(
    uri="#/processes/job",
    type="com.processes.job",
    versions={"1.0.0": Version(accepts=Job, emits={"evt.processes.job": JobDone})},
)
add = Contract(
    uri="#/processes/added",
    type="com.processes.added",
    versions={"1.0.0": Version(accepts=Add, emits={})},
)
runs = OrchestratorContract(
    uri="#/processes/runs",
    name="processes.runs",
    versions={"1.0.0": Workflow(init=Begin, complete=Done)},
)
ADDS = 3


def end(how: str) -> None:
    """End this process, as a segmentation fault does."""
    if how:
        os._exit(1)


def do_job(event: Event[Job]) -> Effects[Emit]:
    if event.data.how == "handler":
        os._exit(1)
    if event.data.how == "effect":
        yield from call(end, event.data.how)
    return Emit(JobDone(event.data.number), domain="out" if event.data.how == "listener" else None)


def run_job(turn: Turn[Any]) -> Commands:
    """Have a job done, or add three numbers."""
    match turn.event.data:
        case Begin(number=number, how="adds"):
            return Persist({"total": number, "adds": 0})
        case Begin(number=number, how=how):
            return Emit(Job(number, how))
        case JobDone(number=number):
            return Complete(Done(number))
        case Add(number=number, how=how):
            end(how)
            total, adds = turn.state["total"] + number, turn.state["adds"] + 1
            if adds == ADDS:
                return Complete(Done(total))
            return Persist({"total": total, "adds": adds})
        case _:
            return None


system = System(
    [
        EventHandler(job, {"1.0.0": do_job}),
        Resumable(
            runs,
            {"1.0.0": run_job},
            services=[job["1.0.0"]],
            signals=[add["1.0.0"]],
        ),
    ]
)


def begin_event(number: int, how: str = "") -> Event[Any]:
    """Return the event that begins the workflow of a number, always the same."""
    subject = Subject.new(runs.type, "1.0.0", initiator=TESTER, id=f"run-{number}")
    with stamping(lambda: Stamp(f"begin-{number}", "2026-01-02T03:04:05.000+00:00")):
        return runs["1.0.0"].init(Begin(number, how), source=TESTER, subject=subject)


def add_event(run: int, number: int, how: str = "") -> Event[Any]:
    """Return a signal to the workflow of a number."""
    return add["1.0.0"].accepts(
        Add(number, how),
        source=TESTER,
        id=f"add-{run}-{number}{how}",
        subject=begin_event(run).subject,
        to=runs.type,
    )


def open_backend(url: str) -> Backend:
    """Make the backend of a URL, with a short lease where nothing else shows that a process ended.

    Not elsewhere: a process under load that renews its lease too late counts as dead.
    """
    backend = backend_from_url(url)
    if isinstance(backend, Pair) and hasattr(backend.broker, "lease"):
        backend.broker.lease = LEASE_SECONDS
    return backend


def run_worker(url: str, report: Callable[[], None]) -> None:
    """Work on a backend until SIGTERM; call *report* when it works."""
    asyncio.run(_work(url, report))


async def _work(url: str, report: Callable[[], None]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runtime = Runtime(system, open_backend(url))
    runtime.on_domain("out")(lambda _: os._exit(1))
    async with runtime:
        report()
        await stop.wait()
