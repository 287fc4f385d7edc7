"""Stored: what a backend costs that holds much: workflows, timers, dead letters."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from arvo import (
    Commands,
    Complete,
    MemoryBackend,
    Persist,
    Resumable,
    Runtime,
    Schedule,
    System,
    TimerFired,
    Turn,
)
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.sqlite import SqliteBackend
from benchmarks.durable import file_bytes, requests, serve_requests
from benchmarks.growth.workloads import (
    LATER,
    REQUEST_SECONDS,
    REQUESTS,
    SENT_AT_ONCE,
    send_all,
    sqlite_file,
    starts,
    workflow,
)
from benchmarks.measure import Figures
from benchmarks.shop import (
    OrderPaid,
    OrderState,
    order,
    system,
)

# Timers that one workflow sets, where only the timers count.
TIMERS_OF_A_WORKFLOW: Final = 100


def finished(number: int) -> Figures:
    """Measure a file in which *number* workflows have finished, with their history."""
    with sqlite_file() as path:
        if number:
            asyncio.run(serve_requests(SqliteBackend(str(path)), number, SENT_AT_ONCE))
        figures = asyncio.run(serve_requests(SqliteBackend(str(path)), 500, SENT_AT_ONCE))
        return {
            "workflows/s": figures["workflows/s"],
            "bytes a workflow": file_bytes(path) / (number + 500),
        }


def sleeping(number: int) -> Figures:
    """Open a file in which *number* timers sleep, and let it answer one request."""

    timers = tuple(Schedule(f"t-{n}", after=LATER) for n in range(TIMERS_OF_A_WORKFLOW))

    async def fill(path: Path) -> None:
        backend = SqliteBackend(str(path))
        async with Runtime(workflow(lambda turn: timers), backend) as runtime:
            await send_all(runtime, backend, number // TIMERS_OF_A_WORKFLOW)

    async def open_file(path: Path) -> Figures:
        start = time.perf_counter()
        async with Runtime(system, SqliteBackend(str(path))) as runtime:
            [event] = starts(1)
            await runtime.request(event, timeout=REQUEST_SECONDS)
            first = time.perf_counter() - start
            figures = await requests(runtime, REQUESTS, 1)
        return {"ms to the first answer": first * 1e3, "ms p50": figures["ms p50"]}

    with sqlite_file() as path:
        asyncio.run(fill(path))
        return asyncio.run(open_file(path))


def due(number: int) -> Figures:
    """Start a process when the timers of *number* workflows are due; all of them fire."""
    with sqlite_file() as path:

        def open_file(now: Callable[[], datetime]) -> Backend:
            return SqliteBackend(str(path), now=now)

        return asyncio.run(_fire(open_file, number))


def due_memory(number: int) -> Figures:
    """Let the timers of *number* workflows become due in one instant, in memory."""
    backend: MemoryBackend | None = None

    def open_memory(now: Callable[[], datetime]) -> Backend:
        nonlocal backend
        if backend is None:
            backend = MemoryBackend(now=now)
        else:
            backend.now = now
        return backend

    return asyncio.run(_fire(open_memory, number))


async def _fire(open_backend: Callable[[Callable[[], datetime]], Backend], number: int) -> Figures:
    fired = 0

    def wait(turn: Turn[Any]) -> Commands:
        nonlocal fired
        if not isinstance(turn.event.data, TimerFired):
            return Schedule("reminder", after=LATER)
        # Counts for the benchmark alone: a handler of a system keeps no such state.
        fired += 1
        return Complete(OrderPaid("late"))

    def later() -> datetime:
        return utc_now() + 2 * LATER

    backend = open_backend(utc_now)
    async with Runtime(workflow(wait), backend) as runtime:
        await send_all(runtime, backend, number)
    backend = open_backend(later)
    start, processor = time.perf_counter(), time.process_time()
    async with Runtime(workflow(wait), backend, now=later):
        while fired < number:
            await asyncio.sleep(0.005)
        await backend.wait_until_idle()
        seconds = time.perf_counter() - start
        return {
            "timers/s": number / seconds,
            "µs a timer": (time.process_time() - processor) / number * 1e6,
        }


def idle(number: int) -> Figures:
    """Start workflows that wait, in memory."""
    return {"bytes": asyncio.run(_idle_bytes(MemoryBackend(), number))}


def idle_sqlite(number: int) -> Figures:
    """Start workflows that wait, in a file."""
    with sqlite_file() as path:
        held = asyncio.run(_idle_bytes(SqliteBackend(str(path)), number))
        return {"bytes": held, "bytes of the file": file_bytes(path) / (2 * number)}


async def _idle_bytes(backend: Backend, number: int) -> float:
    """Start *number* workflows twice; return the bytes of this process for each of the second."""

    commands = Persist(OrderState("order-42")), Schedule("reminder", after=LATER)
    steps = System([Resumable(order, {"1.0.0": lambda turn: commands}, state=OrderState)])
    held: list[int] = []
    # From the beginning: what the second ones drop from the caches has to count.
    tracemalloc.start()
    async with Runtime(steps, backend) as runtime:
        for _ in range(2):
            await send_all(runtime, backend, number)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    first, both = held
    return (both - first) / number


def dead_letters(number: int) -> Figures:
    """Look for one dead letter among *number*, by its id and by the subject of its workflow."""
    events = starts(number)
    entries = [
        DeadLetter(id=f"dead-{place}", event=event, reason="none", attempts=1, at=event.time)
        for place, event in enumerate(events)
    ]
    middle = entries[number // 2]

    async def run(path: Path) -> Figures:
        backend = SqliteBackend(str(path))
        await asyncio.gather(*(backend.dead_letter(None, entry) for entry in entries))

        async def by_id() -> None:
            assert await backend.find_dead_letter(middle.id) is not None

        async def by_subject() -> None:
            assert len(await backend.dead_letters(subject=middle.event.subject)) == 1

        figures = {}
        for name, find in (("µs by id", by_id), ("µs by subject", by_subject)):
            await find()
            start = time.process_time()
            for _ in range(REQUESTS):
                await find()
            figures[name] = (time.process_time() - start) / REQUESTS * 1e6
        await backend.close()
        return figures

    with sqlite_file() as path:
        return asyncio.run(run(path))
