"""Publisher: publishes messages in RabbitMQ, those of one key one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import aio_pika
from attrs import define

from arvo.interpreters.delivery.brokers.headers import CONTENT_TYPE, ORDER, wire_headers
from arvo.interpreters.delivery.brokers.ordering import order_of, partition_of
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.tasks import gather_all
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.rabbit.connection import Connection
from arvo.interpreters.rabbit.queues import Queues

# Messages that are published at the same time, before their confirmations are awaited.
PUBLISHING_MAX: Final = 200


@final
@define(eq=False)
class Publisher:
    """Publishes each message to the queue of its key, and waits for the server's confirmation."""

    connection: Connection
    queues: Queues

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages; when this raises, some may be stored, but of no key one behind another
        that is not.
        """
        for at in range(0, len(messages), PUBLISHING_MAX):
            by_key: dict[object, list[EncodedMessage]] = {}
            for number, message in enumerate(messages[at : at + PUBLISHING_MAX]):
                order = order_of(message)
                key = (message.queue, order) if order else number
                by_key.setdefault(key, []).append(message)
            await gather_all([self._publish_all(each) for each in by_key.values()])

    async def publish_one(
        self, message: EncodedMessage, partition: str, attempt: int = 1, delay: float | None = None
    ) -> None:
        """Publish a message to the queue of its key, or to the delay before that queue."""
        name = self.queues.route(message.queue, partition)
        await self.queues.declare(name, message.queue, is_delayed=delay is not None)
        exchange = ""
        if delay is not None and delay > 0:
            exchange, name = self.queues.delays.route(name, delay)
        await self.send(
            exchange, name, message.body, {**wire_headers(message, attempt), ORDER: partition}
        )

    async def send(self, exchange: str, key: str, body: bytes, headers: Mapping[str, Any]) -> None:
        """Publish a message; returns when the server has confirmed it."""
        message = aio_pika.Message(
            body,
            headers=dict(headers),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        async with self.connection.publishing() as channel:
            target = await channel.get_exchange(exchange, ensure=False)
            await target.publish(message, key, mandatory=True)

    async def _publish_all(self, messages: Sequence[EncodedMessage]) -> None:
        for message in messages:
            due = message.due
            delay = None if due is None else (due - utc_now()).total_seconds()
            await self.publish_one(message, partition_of(message), delay=delay)
