"""Workers: the worker processes of a benchmark, and a client that sends workflows to them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from arvo import Client, Event, Runtime
from arvo.interpreters.runtime.backends import backend_from_url
from benchmarks.shop import PlaceOrder, order, system


@contextmanager
def start_workers(commands: Iterable[Sequence[str]]) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run modules with their arguments as processes, and terminate them at the end.

    Each is started when the one before is ready, because the first may have to create the tables.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE)
            processes.append(process)
            assert process.stdout is not None
            process.stdout.readline()
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with process:
                process.wait(60)


async def work(url: str) -> None:
    """Run a worker until it gets a signal."""
    runtime = Runtime(system, url, prefetch=64)
    print("ready", flush=True)
    await runtime.serve()


async def measure_rate(url: str, number: int, in_flight: int) -> float:
    """Return workflows a second: send *number* of them, and wait until the backend is idle.

    Each is a start, a service call, its reply, and an answer to the caller.
    """
    limit, backend = asyncio.Semaphore(in_flight), backend_from_url(url)
    async with Client(system, backend) as client:

        async def send(name: str) -> Event[PlaceOrder]:
            async with limit:
                event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
                await client.send(event)
                return event

        first = await send("first")
        await backend.wait_until_idle()
        start = time.perf_counter()
        await asyncio.gather(*(send(f"{position}") for position in range(number)))
        await backend.wait_until_idle()
        seconds = time.perf_counter() - start
        record = await client.record(first.subject)
        assert record is not None
        assert record.status == "done"
    return number / seconds


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
