"""Postgres: workflows through a real server, by one, two and four worker processes."""

import asyncio
from statistics import median
from typing import Final

from arvo import Client
from benchmarks.crew import through, working
from benchmarks.shop import system
from tests import servers

WORKFLOWS: Final = 4_000
ROUNDS: Final = 3
# Events on their way to the server at once.
AT_ONCE: Final = 200


def rate(server: servers.Server, workers: int, number: int) -> float:
    """Give workflows a second by so many worker processes, the median of ROUNDS."""
    url = f"{server.url}?schema=bench_{workers}"
    asyncio.run(_made(url))
    with working([("benchmarks.crew", url)] * workers):
        return median(asyncio.run(through(url, number, AT_ONCE)) for _ in range(ROUNDS))


async def _made(url: str) -> None:
    async with Client(system, url) as desk:
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
        # Only here: ours is measured without it, too.
        from benchmarks import dbos

        dbos.main(server)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
