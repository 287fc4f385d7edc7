"""Crew: worker processes for a benchmark, and the workflows that are sent to them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from arvo import Client, Event, Runtime
from arvo.interpreters.runtime.backends import connect
from benchmarks.shop import PlaceOrder, order, system


@contextmanager
def working(commands: Iterable[Sequence[str]]) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run modules with their arguments, one after the other: the first may make the tables."""
    crew: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE)
            crew.append(process)
            assert process.stdout is not None
            process.stdout.readline()
        yield crew
    finally:
        for process in crew:
            process.terminate()
        for process in crew:
            with process:
                process.wait(60)


async def work(url: str) -> None:
    """Work until told to stop."""
    runtime = Runtime(system, url, prefetch=64)
    print("working", flush=True)
    await runtime.serve()


async def through(url: str, number: int, at_once: int) -> float:
    """Send so many workflows, and give how many a second, until nothing is under way any more.

    Each is a start, a service call, its reply, and an answer that goes home.
    """
    room, backend = asyncio.Semaphore(at_once), connect(url)
    async with Client(system, backend) as desk:

        async def send(name: str) -> Event[PlaceOrder]:
            async with room:
                event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
                await desk.send(event)
                return event

        first = await send("first")
        await backend.wait_until_idle()
        start = time.perf_counter()
        await asyncio.gather(*(send(f"{each}") for each in range(number)))
        await backend.wait_until_idle()
        took = time.perf_counter() - start
        ended = await desk.record(first.subject)
        assert ended is not None
        assert ended.status == "done"
    return number / took


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
