"""Durable: workflows through a SQLite file, next to single-row transactions."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from arvo import MemoryBackend, Runtime
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.sqlite import SqliteBackend
from benchmarks.shop import PlaceOrder, order, system

WORKFLOWS: Final = 3_000
ROUNDS: Final = 3


async def measure_seconds(backend: Backend, number: int, in_flight: int) -> float:
    """Return the seconds of *number* workflows: a start, a service call, its reply, the answer."""
    limit = asyncio.Semaphore(in_flight)
    async with Runtime(system, backend, prefetch=max(16, in_flight)) as runtime:

        async def request(name: str) -> None:
            async with limit:
                event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
                await runtime.request(event, timeout=120)

        await request("first")
        start = time.perf_counter()
        await asyncio.gather(*(request(f"o-{position}") for position in range(number)))
        return time.perf_counter() - start


def rate(make: Callable[[Path], Backend], number: int, in_flight: int) -> float:
    """Return workflows a second: the median of ROUNDS, each on a new file."""
    rates = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            seconds = asyncio.run(measure_seconds(make(Path(folder) / "a.db"), number, in_flight))
            rates.append(number / seconds)
    return median(rates)


def row_rate(number: int = 300) -> float:
    """Return transactions a second of sqlite3 alone: one row in each, synced to disk."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "a.db", isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("create table unit (content text)")
        start = time.perf_counter()
        for position in range(number):
            connection.execute("insert into unit values (?)", ("x" * 700 + str(position),))
        seconds = time.perf_counter() - start
        connection.close()
    return number / seconds


def workflow_bytes(number: int = 1_000) -> float:
    """Return the bytes in the file for each finished workflow, with its history."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        asyncio.run(measure_seconds(SqliteBackend(str(path)), number, 100))
        connection = sqlite3.connect(path)
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
        return path.stat().st_size / number


def compare_full_file(
    finished: int = 100_000, waiting: int = 10_000, number: int = 1_000
) -> tuple[float, float]:
    """Return workflows a second on a new file, and on one that holds many workflows already."""
    with tempfile.TemporaryDirectory() as folder:
        new, full = Path(folder) / "new.db", Path(folder) / "full.db"
        asyncio.run(measure_seconds(SqliteBackend(str(full)), 10, 10))
        _fill(full, finished, waiting)
        rates: dict[Path, list[float]] = {new: [], full: []}
        for _ in range(ROUNDS):
            for path, measured in rates.items():
                seconds = asyncio.run(measure_seconds(SqliteBackend(str(path)), number, 100))
                measured.append(number / seconds)
        return median(rates[new]), median(rates[full])


def _fill(path: Path, finished: int, waiting: int) -> None:
    """Copy the workflows of a file, with history and inbox, until it holds the given numbers."""
    connection = sqlite3.connect(path)
    (first,) = connection.execute("select min(id) from workflow").fetchone()
    for status, count in (("done", finished), ("active", waiting)):
        connection.executemany(
            "insert into workflow (subject, handler, version, status, revision, parent, record,"
            " began, changed) select subject || ?, handler, version, ?, revision, parent, record,"
            " began, changed from workflow where id = ?",
            ((f"{status} {copy}", status, first) for copy in range(count)),
        )
    connection.execute(
        "insert into history select copy.id, position, history.revision, kind, at, event"
        " from workflow as copy, history where copy.id > ? and history.workflow = ?",
        (first + 100, first),
    )
    (now,) = connection.execute("select max(at) from inbox").fetchone()
    connection.executemany(
        "insert into inbox (digest, at) values (randomblob(16), ?)",
        ((now,) for _ in range(3 * finished)),
    )
    connection.executemany(
        "insert into timer values (?, 9000000000000, 'queue', 'key', '', '')",
        ((f"timer {copy}",) for copy in range(waiting)),
    )
    connection.commit()
    connection.close()


def main() -> None:
    """Print the cost of durability."""
    print(f"{'durable workflows':60} {'a second':>10} {'aim':>12}")
    rows: list[tuple[str, float, str]] = [
        ("sqlite3 alone, one row a transaction, full sync", row_rate(), ""),
        (
            "SQLite, full sync, 100 in flight",
            rate(lambda path: SqliteBackend(str(path)), WORKFLOWS, 100),
            "1,000",
        ),
        (
            "SQLite, normal sync, 100 in flight",
            rate(lambda path: SqliteBackend(str(path), full_sync=False), WORKFLOWS, 100),
            "",
        ),
        (
            "SQLite, full sync, one at a time",
            rate(lambda path: SqliteBackend(str(path)), 200, 1),
            "",
        ),
        ("memory, 100 in flight", rate(lambda _: MemoryBackend(), WORKFLOWS, 100), ""),
    ]
    for name, cost, aim in rows:
        print(f"{name:60} {cost:10.0f} {aim:>12}")
    new, full = compare_full_file()
    print(f"{'SQLite, a new file':60} {new:10.0f}")
    print(f"{'SQLite, with 100,000 finished and 10,000 waiting workflows':60} {full:10.0f}")
    print(f"{'bytes of the file for each finished workflow':60} {workflow_bytes():10.0f}")


if __name__ == "__main__":
    main()
