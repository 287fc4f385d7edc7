"""Holder: a process that takes a message from Redis, says so, and settles nothing."""

import asyncio
import sys

from arvo.interpreters.redis import RedisBroker


async def main(url: str, prefix: str, address: str, lease: float) -> None:
    """Hold the first message of *address* until somebody kills us."""
    async for delivered in RedisBroker(url, prefix, lease=lease).deliveries([address]):
        print(delivered.message.event.id, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
