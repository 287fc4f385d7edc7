"""Nats: workflows through JetStream by 1, 2 and 4 processes, beside the driver alone."""

import asyncio
import time
from secrets import token_hex
from statistics import median
from typing import Final

import nats
from nats.js.api import RetentionPolicy, StreamConfig

from benchmarks.crew import through, working
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


def rate(workers: int) -> float:
    """Give workflows a second by *workers* processes, the median of ROUNDS, each in new streams."""
    rates = []
    for _ in range(ROUNDS):
        url = f"{nats_url()}?prefix=bench{token_hex(4)}"
        with working([("benchmarks.crew", url)] * workers):
            rates.append(asyncio.run(through(url, WORKFLOWS, AT_ONCE)))
    return median(rates)


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
    main()
