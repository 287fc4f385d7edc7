"""Limited: events from a queue through a handler, with a limit that none exceeds and without one.

    python -m benchmarks.limited sqlite NUMBER with|without
    python -m benchmarks.limited postgres NUMBER with|without URL

Another client has sent the events, so that a worker claims them.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from arvo import Client, EventHandler, Limit, PostgresBackend, Runtime, System
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.sqlite import SqliteBackend
from benchmarks.measure import Figures, print_figures
from benchmarks.shop import ChargeCard, charge, pay

SENT_AT_ONCE = 200
UNREACHED = Limit(concurrent=10_000)


async def consume(open_backend: Callable[[], Backend], number: int, limit: Limit | None) -> Figures:
    """Send *number* events, and then measure how long a worker takes for them."""
    limits = [] if limit is None else [limit]
    system = System([EventHandler(charge, {"1.0.0": pay}, limits=limits)])
    async with Client(system, open_backend()) as client:
        for start in range(0, number, SENT_AT_ONCE):
            part = range(start, min(start + SENT_AT_ONCE, number))
            payloads = (ChargeCard(f"o-{position}", 1.0) for position in part)
            events = (charge["1.0.0"].accepts(it, source="com.shop.web") for it in payloads)
            await asyncio.gather(*map(client.send, events))
    start_time, processor = time.perf_counter(), time.process_time()
    async with Runtime(system, open_backend()) as runtime:
        await runtime.drain()
        seconds, processor = time.perf_counter() - start_time, time.process_time() - processor
    return {"events/s": number / seconds, "µs": processor / number * 1e6}


def main(kind: str, number: str, way: str, *rest: str) -> Figures:
    limit = {"with": UNREACHED, "without": None}[way]
    match kind, *rest:
        case ("sqlite",):
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder) / "a.db")
                return asyncio.run(consume(lambda: SqliteBackend(path), int(number), limit))
        case "postgres", url:
            url = f"{url}?schema=arvo_{time.time_ns()}"
            return asyncio.run(consume(lambda: PostgresBackend(url), int(number), limit))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    print_figures(main(*sys.argv[1:]))
