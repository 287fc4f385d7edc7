"""Killed consumer: a process that receives a message, settles nothing, and is killed."""

import asyncio
import subprocess
import sys

from arvo import RabbitBroker, RedisBroker
from arvo.interpreters.paired.documents.codec import decode_message


async def receive_and_die(url: str, prefix: str, address: str) -> bytes:
    """Kill a process after it has received the first message of *address*; returns its output."""
    # -P: the folders next to this file have the names of drivers.
    command = (sys.executable, "-P", __file__, url, prefix, address)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = await process.stdout.readline()
    process.kill()
    await process.communicate()
    return output


async def consume(url: str, prefix: str, address: str) -> None:
    """Print the ids of the events in a queue until the process is killed."""
    broker = RabbitBroker if url.startswith("amqp") else RedisBroker
    async for delivery in broker(url, prefix).deliveries([address]):
        print(decode_message(delivery.message).event.id, flush=True)


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:]))
