"""Nats: workflows through JetStream with 1, 2 and 4 processes, next to the driver alone."""

import asyncio
import time
from secrets import token_hex
from statistics import median
from typing import Final

import nats
from nats.js.api import RetentionPolicy, StreamConfig

from benchmarks.workers import measure_rate, start_workers
from tests.servers import nats_url

WORKFLOWS: Final = 1_500
# The messages of one workflow that handlers consume: its start, the request to the service, and the
# reply. Each is published, handled, committed, followed by another message, and acknowledged.
MESSAGES: Final = 3
ROUNDS: Final = 3
IN_FLIGHT: Final = 100
BODY_BYTES: Final = 700


async def driver_rate(number: int) -> float:
    """Return messages a second of the driver alone: publish, fetch, acknowledge."""
    client = await nats.connect(nats_url())
    stream, name = client.jetstream(), f"bare{token_hex(4)}"
    config = StreamConfig(name=name, subjects=[name], retention=RetentionPolicy.WORK_QUEUE)
    await stream.add_stream(config)
    subscription = await stream.pull_subscribe(name, "durable", stream=name)
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def publish() -> None:
        async with limit:
            await stream.publish(name, b"x" * BODY_BYTES)

    async def consume() -> None:
        consumed = 0
        while consumed < number:
            batch = await subscription.fetch(IN_FLIGHT, timeout=5)
            for message in batch:
                await message.ack()
            consumed += len(batch)
        await client.flush()

    start = time.perf_counter()
    await asyncio.gather(consume(), *(publish() for _ in range(number)))
    seconds = time.perf_counter() - start
    await client.close()
    return number / seconds


def rate(workers: int) -> float:
    """Return workflows a second with *workers* processes: the median of ROUNDS, in new streams."""
    rates = []
    for _ in range(ROUNDS):
        url = f"{nats_url()}?prefix=bench{token_hex(4)}"
        with start_workers([("benchmarks.workers", url)] * workers):
            rates.append(asyncio.run(measure_rate(url, WORKFLOWS, IN_FLIGHT)))
    return median(rates)


def main() -> None:
    """Print the throughput of NATS by the number of workers."""
    print(f"{'NATS JetStream, files, one server':60} {'a second':>10} {'aim':>12}")
    driver = median(asyncio.run(driver_rate(3 * WORKFLOWS)) for _ in range(ROUNDS))
    print(f"{'nats-py alone, messages: publish, fetch, acknowledge':60} {driver:10.0f}")
    for workers in (1, 2, 4):
        measured = rate(workers)
        name = f"workflows with {workers} worker process{'es' if workers > 1 else ''}"
        print(f"{name:60} {measured:10.0f}")
        aim = "800" if workers == 2 else ""
        handled = "  messages: publish, handle, commit, publish, acknowledge"
        print(f"{handled:60} {MESSAGES * measured:10.0f} {aim:>12}")


if __name__ == "__main__":
    main()
