"""Holder: a process that takes a message, says so, settles nothing, and is killed."""

import asyncio
import subprocess
import sys

from arvo import RabbitBroker, RedisBroker


async def held(url: str, prefix: str, address: str) -> bytes:
    """Have a process take the first message of *address*, and kill it; gives what it said."""
    # -P: beside this file are folders that have the names of drivers.
    command = (sys.executable, "-P", __file__, url, prefix, address)
    holder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    said = await holder.stdout.readline()
    holder.kill()
    await holder.communicate()
    return said


async def hold(url: str, prefix: str, address: str) -> None:
    """Hold what comes until somebody kills us."""
    broker = RabbitBroker if url.startswith("amqp") else RedisBroker
    async for delivery in broker(url, prefix).deliveries([address]):
        print(delivery.message.event.id, flush=True)


if __name__ == "__main__":
    asyncio.run(hold(*sys.argv[1:]))
