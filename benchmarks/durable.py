"""Durable: workflows through a runtime, in memory, in a SQLite file and with worker processes.

    python -m benchmarks.durable memory NUMBER IN_FLIGHT
    python -m benchmarks.durable sqlite NUMBER IN_FLIGHT
    python -m benchmarks.durable postgres NUMBER WORKERS URL
    python -m benchmarks.durable rows NUMBER

A workflow is a start, a service call, its reply and the answer to the caller.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from arvo import Client, MemoryBackend, Runtime
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.sqlite import SqliteBackend
from benchmarks.measure import Figures, print_figures
from benchmarks.shop import PlaceOrder, order, system
from benchmarks.workers import measure_rate, start_workers

# Events that the client of Postgres sends at once.
SENT_AT_ONCE: Final = 200
# Bytes of the row that stands for the least that a durable step writes.
ROW_BYTES: Final = 700
REQUEST_SECONDS: Final = 120


async def requests(runtime: Runtime, number: int, in_flight: int) -> Figures:
    """Send *number* requests, *in_flight* at a time; the time is that from request to answer."""
    limit, latencies = asyncio.Semaphore(in_flight), []

    async def request(name: str) -> None:
        async with limit:
            start = time.perf_counter()
            event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
            await runtime.request(event, timeout=REQUEST_SECONDS)
            latencies.append(time.perf_counter() - start)

    await request("first")
    latencies.clear()
    start, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(request(f"o-{position}") for position in range(number)))
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    return {
        "workflows/s": number / seconds,
        "ms p50": median(latencies) * 1e3,
        "µs": processor / number * 1e6,
    }


async def serve_requests(backend: Backend, number: int, in_flight: int) -> Figures:
    async with Runtime(system, backend, prefetch=max(16, in_flight)) as runtime:
        return await requests(runtime, number, in_flight)


def memory(number: int, in_flight: int) -> Figures:
    return asyncio.run(serve_requests(MemoryBackend(), number, in_flight))


def sqlite(number: int, in_flight: int) -> Figures:
    """Measure on a new file with full sync; count its bytes for each finished workflow."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        figures = asyncio.run(serve_requests(SqliteBackend(str(path)), number, in_flight))
        return {**figures, "bytes of the file": file_bytes(path) / number}


def file_bytes(path: Path) -> int:
    """Return the size of a SQLite file with everything that was committed to it."""
    connection = sqlite3.connect(path)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    return path.stat().st_size


def postgres(number: int, workers: int, url: str) -> Figures:
    """Measure worker processes on a server; a client in this process sends."""
    url = f"{url}?schema=arvo_{workers}_{time.time_ns()}"
    asyncio.run(_create_tables(url))
    with start_workers([("benchmarks.workers", url)] * workers):
        return {"workflows/s": asyncio.run(measure_rate(url, number, SENT_AT_ONCE))}


async def _create_tables(url: str) -> None:
    async with Client(system, url) as client:
        await client.workflows(limit=1)


def rows(number: int) -> Figures:
    """Measure sqlite3 alone: one row a transaction, synced to disk."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "a.db", isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("create table unit (content text)")
        start = time.perf_counter()
        for position in range(number):
            connection.execute("insert into unit values (?)", ("x" * ROW_BYTES + str(position),))
        seconds = time.perf_counter() - start
        connection.close()
    return {"transactions/s": number / seconds}


def main(kind: str, *arguments: str) -> Figures:
    match kind, *arguments:
        case "memory", number, in_flight:
            return memory(int(number), int(in_flight))
        case "sqlite", number, in_flight:
            return sqlite(int(number), int(in_flight))
        case "postgres", number, workers, url:
            return postgres(int(number), int(workers), url)
        case "rows", number:
            return rows(int(number))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    print_figures(main(*sys.argv[1:]))
