"""Delays: delayed messages in RabbitMQ, by a chain of queues without consumers."""

import asyncio
from datetime import timedelta
from math import ceil
from typing import Final, final

from aio_pika import ExchangeType
from attrs import define, field

from arvo.interpreters.rabbit.connection import Connection

# All brokers on a virtual host share these queues, with any prefix.
NAME: Final = "arvo:delay"
# A message waits at level n for 2**n ticks, and passes any set of levels.
TICK_SECONDS: Final = 0.01
LEVELS: Final = 28
# The longest delay, 31 days. A message that is due later is delivered early, returned by the worker
# and delayed again.
DELAY_MAX: Final = timedelta(seconds=TICK_SECONDS * (2**LEVELS - 1))
DUE: Final = f"{NAME}:due"


@final
@define(eq=False)
class Delays:
    """One queue for each level. All messages of a level wait equally long, so the first in is the
    first out; the server dead-letters a message to the next lower level when its time has passed.

    The routing key holds the levels at which a message waits, one word 0 or 1 for each from the
    highest, and then its queue. One queue with a time to live for each message would not work: the
    server expires only the message at its head.
    """

    connection: Connection
    _declaring: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def bind(self, queue: str) -> None:
        """Make sure that delayed messages reach a queue."""
        binding = f"{DUE} {queue}"
        async with self._declaring:
            if NAME not in self.connection.declared:
                await self._declare()
                self.connection.declared.add(NAME)
        if binding not in self.connection.declared:
            async with self.connection.publishing() as channel:
                target = await channel.get_queue(queue, ensure=False)
                await target.bind(DUE, "*." * LEVELS + queue)
            self.connection.declared.add(binding)

    def route(self, queue: str, seconds: float) -> tuple[str, str]:
        """Return the exchange and the routing key for a delay before a queue."""
        # One tick more, because the current one has begun already.
        ticks = min(ceil(seconds / TICK_SECONDS) + 1, 2**LEVELS - 1)
        bits = ".".join(f"{ticks:0{LEVELS}b}")
        return _exchange(ticks.bit_length() - 1), f"{bits}.{queue}"

    async def _declare(self) -> None:
        async with self.connection.publishing() as channel:
            lower = await channel.declare_exchange(DUE, ExchangeType.TOPIC, durable=True)
        for level in range(LEVELS):
            higher_levels = "*." * (LEVELS - 1 - level)
            arguments = {
                "x-queue-type": "quorum",
                "x-message-ttl": round(TICK_SECONDS * 1000) * 2**level,
                "x-dead-letter-exchange": lower.name,
                # The server deletes the message when the next queue has confirmed it, not before.
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
            async with self.connection.publishing() as channel:
                exchange = await channel.declare_exchange(
                    _exchange(level), ExchangeType.TOPIC, durable=True
                )
                name = f"{NAME}:{level}"
                queue = await channel.declare_queue(name, durable=True, arguments=arguments)
                await queue.bind(exchange, f"{higher_levels}1.#")
                await lower.bind(exchange, f"{higher_levels}0.#")
            lower = exchange


def _exchange(level: int) -> str:
    return f"{NAME}:{level}"
