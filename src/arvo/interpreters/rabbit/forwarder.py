"""Forwarder: publishes the messages of other programs to the queues of their keys."""

import asyncio
from typing import Final, TypeAlias, final

from aio_pika.abc import AbstractIncomingMessage
from attrs import define, field

from arvo.interpreters.delivery.brokers.headers import ORDER
from arvo.interpreters.delivery.brokers.ordering import foreign_order_of
from arvo.interpreters.delivery.log import LineLimit, fields, get_logger
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.rabbit.connection import ack
from arvo.interpreters.rabbit.publisher import Publisher
from arvo.interpreters.rabbit.queues import Queues
from arvo.interpreters.rabbit.source import message_of

logger: Final = get_logger("rabbit")

# The pause before a message is forwarded again, where its queue was full.
PAUSE_SECONDS: Final = 0.5

# A message with the address of its queue.
_Foreign: TypeAlias = tuple[str, AbstractIncomingMessage]


@final
@define(eq=False)
class Forwarder:
    """Forwards one message after the other: if one cannot be, those of its key must not pass it."""

    queues: Queues
    publisher: Publisher
    # Bounded by the prefetch of the consumers: one message for each address.
    _received: "asyncio.Queue[_Foreign]" = field(factory=asyncio.Queue, init=False)

    def add(self, address: str, incoming: AbstractIncomingMessage) -> None:
        """Add a message that the server has delivered."""
        self._received.put_nowait((address, incoming))

    async def run(self) -> None:
        """Forward messages until it is cancelled. A crash before an ack forwards one again."""
        while True:
            address, incoming = await self._received.get()
            order = foreign_order_of(message_of(address, incoming))
            # The server adds its own headers again.
            headers = {k: v for k, v in incoming.headers.items() if not k.startswith("x-")}
            name, limit = self.queues.route(address, order), LineLimit()
            while True:
                try:
                    await self.queues.declare(name, address)
                    await self.publisher.send("", name, incoming.body, {**headers, ORDER: order})
                    break
                except Unavailable as error:
                    if limit.is_due():
                        extra = fields(queue=name, reason=error, unlogged=limit.unlogged)
                        logger.warning("a message is not written yet", extra=extra)
                    await asyncio.sleep(PAUSE_SECONDS)
            await ack(incoming)
