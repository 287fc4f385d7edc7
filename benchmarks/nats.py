"""Nats: workflows through JetStream by 1, 2 and 4 processes, beside the driver alone."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from statistics import median
from typing import Final

import nats
from nats.js.api import RetentionPolicy, StreamConfig

from arvo import Desk, Runtime
from arvo.interpreters.connect import connect
from benchmarks.shop import PlaceOrder, order, system
from tests.servers import nats_url

WORKFLOWS: Final = 1_500
# What handlers take of one workflow: its beginning, the service's request, and the reply. Each is
# published, handled, committed, followed by another message, and acknowledged.
MESSAGES: Final = 3
ROUNDS: Final = 3
AT_ONCE: Final = 100
BODY_BYTES: Final = 700


async def bare(number: int) -> float:
    """Give messages a second of the driver alone: publish, fetch, acknowledge."""
    client = await nats.connect(nats_url())
    stream, name = client.jetstream(), f"bare{token_hex(4)}"
    wanted = StreamConfig(name=name, subjects=[name], retention=RetentionPolicy.WORK_QUEUE)
    await stream.add_stream(wanted)
    taking = await stream.pull_subscribe(name, "durable", stream=name)
    room = asyncio.Semaphore(AT_ONCE)

    async def publish() -> None:
        async with room:
            await stream.publish(name, b"x" * BODY_BYTES)

    async def take() -> None:
        taken = 0
        while taken < number:
            found = await taking.fetch(AT_ONCE, timeout=5)
            for message in found:
                await message.ack()
            taken += len(found)
        await client.flush()

    start = time.perf_counter()
    await asyncio.gather(take(), *(publish() for _ in range(number)))
    took = time.perf_counter() - start
    await client.close()
    return number / took


@contextmanager
def working(url: str, number: int) -> Iterator[None]:
    """Have worker processes work on a URL."""
    command = [sys.executable, "-m", "benchmarks.nats", url]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(number)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            with worker:
                worker.wait(20)


async def through(url: str, number: int) -> float:
    """Give workflows a second, from the first event that is sent until nothing is under way."""
    room, backend = asyncio.Semaphore(AT_ONCE), connect(url)
    async with Desk(system, backend) as desk:

        async def send(name: str) -> None:
            async with room:
                event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
                await desk.send(event)

        await send("first")
        start = time.perf_counter()
        await asyncio.gather(*(send(f"o-{each}") for each in range(number)))
        await backend.rest()
        return number / (time.perf_counter() - start)


def rate(workers: int) -> float:
    """Give workflows a second by *workers* processes, the median of ROUNDS, each in new streams."""
    rates = []
    for _ in range(ROUNDS):
        url = f"{nats_url()}?prefix=bench{token_hex(4)}"
        with working(url, workers):
            rates.append(asyncio.run(through(url, WORKFLOWS)))
    return median(rates)


async def work(url: str) -> None:
    """Work until told to stop."""
    runtime = Runtime(system, url, prefetch=64)
    print("working", flush=True)
    await runtime.serve()


def main() -> None:
    """Print what NATS costs."""
    print(f"{'NATS JetStream, files, one server':60} {'a second':>10} {'aim':>12}")
    alone = median(asyncio.run(bare(3 * WORKFLOWS)) for _ in range(ROUNDS))
    print(f"{'nats-py alone, messages: publish, fetch, acknowledge':60} {alone:10.0f}")
    for workers in (1, 2, 4):
        found = rate(workers)
        name = f"workflows by {workers} worker process{'es' if workers > 1 else ''}"
        print(f"{name:60} {found:10.0f}")
        aim = "800" if workers == 2 else ""
        handled = "  messages: publish, handle, commit, publish, acknowledge"
        print(f"{handled:60} {MESSAGES * found:10.0f} {aim:>12}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(work(sys.argv[1]))
    else:
        main()
