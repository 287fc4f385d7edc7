"""Postgres: workflows through a real server, by one, two and four worker processes."""

import asyncio
import subprocess
import sys
import time
from statistics import median
from typing import Final

from arvo import Desk, Runtime
from arvo.interpreters.connect import connect
from benchmarks.shop import PlaceOrder, order, system
from tests import servers

WORKFLOWS: Final = 4_000
ROUNDS: Final = 3
# Events on their way to the server at once.
AT_ONCE: Final = 200


async def work(url: str) -> None:
    """Work until told to stop."""
    runtime = Runtime(system, url, prefetch=64)
    print("working", flush=True)
    await runtime.serve()


async def through(url: str, number: int, base: str) -> float:
    """Send so many workflows, and give the seconds until nothing is under way any more.

    Each is a start, a service call, its reply, and an answer that goes home.
    """
    backend = connect(url)
    async with Desk(system, backend) as desk:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with room:
                event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
                await desk.send(event)

        await one(f"{base} first")
        await backend.rest()
        start = time.perf_counter()
        await asyncio.gather(*(one(f"{base} {each}") for each in range(number)))
        await backend.rest()
        took = time.perf_counter() - start
        ended = await desk.workflows(status="done", limit=1)
        assert ended, "nothing was done"
    return took


def rate(server: servers.Server, workers: int, number: int) -> float:
    """Give workflows a second by so many worker processes, the median of ROUNDS."""
    url = f"{server.url}?schema=bench_{workers}"
    asyncio.run(_made(url))
    command = [sys.executable, "-m", "benchmarks.postgres", "work", url]
    crew = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(workers)]
    try:
        for process in crew:
            assert process.stdout is not None
            process.stdout.readline()
        rates = [
            number / asyncio.run(through(url, number, f"round {each}")) for each in range(ROUNDS)
        ]
    finally:
        for process in crew:
            process.terminate()
        for process in crew:
            process.wait()
    return median(rates)


async def _made(url: str) -> None:
    async with Desk(system, url) as desk:
        await desk.workflows(limit=1)


def main() -> None:
    """Print how throughput moves with the number of workers."""
    server = servers.postgres()
    server.start()
    try:
        print(f"{'workflows a second, full sync':40} {'a second':>10} {'aim':>8}")
        for workers in (1, 2, 4):
            aim = "600" if workers == 2 else ""
            found = rate(server, workers, WORKFLOWS)
            print(
                f"{f'Postgres, worker processes: {workers}':40} {found:10.0f} {aim:>8}", flush=True
            )
        # Only here: workers are this module, too, and have no use for it.
        from benchmarks import dbos

        dbos.main(server)
    finally:
        server.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        asyncio.run(work(sys.argv[2]))
    else:
        main()
