"""Holder: a process that takes a message from RabbitMQ, says so, and settles nothing."""

import asyncio
import sys

from arvo.interpreters.rabbit import RabbitBroker


async def main(url: str, prefix: str, address: str) -> None:
    """Hold the first message of *address* until somebody kills us."""
    async for delivered in RabbitBroker(url, prefix).deliveries([address]):
        print(delivered.message.event.id, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
