"""Postgres: workflows through a real server, with one, two and four worker processes."""

import asyncio
from statistics import median
from typing import Final

from arvo import Client
from benchmarks.shop import system
from benchmarks.workers import measure_rate, start_workers
from tests import servers

WORKFLOWS: Final = 4_000
ROUNDS: Final = 3
# Events that the client sends at once.
IN_FLIGHT: Final = 200


def rate(server: servers.Server, workers: int, number: int) -> float:
    """Return workflows a second with *workers* processes: the median of ROUNDS."""
    url = f"{server.url}?schema=bench_{workers}"
    asyncio.run(_create_tables(url))
    with start_workers([("benchmarks.workers", url)] * workers):
        return median(asyncio.run(measure_rate(url, number, IN_FLIGHT)) for _ in range(ROUNDS))


async def _create_tables(url: str) -> None:
    async with Client(system, url) as client:
        await client.workflows(limit=1)


def main() -> None:
    """Print the throughput by the number of workers, and that of DBOS on the same server."""
    server = servers.postgres()
    server.start()
    try:
        print(f"{'workflows a second, full sync':40} {'a second':>10} {'aim':>8}")
        for workers in (1, 2, 4):
            aim = "600" if workers == 2 else ""
            measured = rate(server, workers, WORKFLOWS)
            name = f"Postgres, worker processes: {workers}"
            print(f"{name:40} {measured:10.0f} {aim:>8}", flush=True)
        # Imported here because DBOS is an optional dependency.
        from benchmarks import dbos

        dbos.main(server)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
