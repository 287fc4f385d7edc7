"""Delays: makes RabbitMQ wait, with queues that nobody reads."""

import asyncio
from datetime import timedelta
from math import ceil
from typing import Final, final

from aio_pika import ExchangeType
from attrs import define, field

from arvo.interpreters.rabbit.connection import Link

# All that share a virtual host share these, whatever their prefix.
NAME: Final = "arvo:delay"
# A message may wait this long, or twice as long, or four times..., and any sum of these.
TICK_SECONDS: Final = 0.01
LEVELS: Final = 28
# The longest wait, 31 days: what is due later comes early, is turned away and waits again.
DELAY_MAX: Final = timedelta(seconds=TICK_SECONDS * (2**LEVELS - 1))
DUE: Final = f"{NAME}:due"


@final
@define(eq=False)
class Delays:
    """A queue for each level, in which everything waits equally long, so that the first to come is
    the first to go; what has waited is passed to the next lower level by the server.

    The routing key says at which levels a message waits, a word of 0 or 1 for each from the
    highest, and after these where it goes. One queue with a time for each message would not do:
    only its first message is ever looked at.
    """

    link: Link
    _making: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def reach(self, queue: str) -> None:
        """Make sure that what has waited can get to a queue."""
        bound = f"{DUE} {queue}"
        async with self._making:
            if NAME not in self.link.declared:
                await self._make()
                self.link.declared.add(NAME)
        if bound not in self.link.declared:
            async with self.link.publishing() as channel:
                target = await channel.get_queue(queue, ensure=False)
                await target.bind(DUE, "*." * LEVELS + queue)
            self.link.declared.add(bound)

    def way(self, queue: str, seconds: float) -> tuple[str, str]:
        """Say the exchange and routing key for what shall be in a queue after some time."""
        # One more, for that which is running has begun before.
        ticks = min(ceil(seconds / TICK_SECONDS) + 1, 2**LEVELS - 1)
        bits = ".".join(f"{ticks:0{LEVELS}b}")
        return _exchange(ticks.bit_length() - 1), f"{bits}.{queue}"

    async def _make(self) -> None:
        async with self.link.publishing() as channel:
            below = await channel.declare_exchange(DUE, ExchangeType.TOPIC, durable=True)
        for level in range(LEVELS):
            passed = "*." * (LEVELS - 1 - level)
            arguments = {
                "x-queue-type": "quorum",
                "x-message-ttl": round(TICK_SECONDS * 1000) * 2**level,
                "x-dead-letter-exchange": below.name,
                # Passed on when it has arrived, not before.
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
            async with self.link.publishing() as channel:
                exchange = await channel.declare_exchange(
                    _exchange(level), ExchangeType.TOPIC, durable=True
                )
                name = f"{NAME}:{level}"
                queue = await channel.declare_queue(name, durable=True, arguments=arguments)
                await queue.bind(exchange, f"{passed}1.#")
                await below.bind(exchange, f"{passed}0.#")
            below = exchange


def _exchange(level: int) -> str:
    return f"{NAME}:{level}"
