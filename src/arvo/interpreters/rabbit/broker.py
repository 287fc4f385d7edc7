"""Broker: quorum queues of RabbitMQ, several for each address, by the key of the messages."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, final

from attrs import define, field

from arvo.interpreters.delivery.brokers.headers import REASON, reason_text
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.rabbit.connection import Connection
from arvo.interpreters.rabbit.consumer import Consumer
from arvo.interpreters.rabbit.delays import Delays
from arvo.interpreters.rabbit.publisher import Publisher
from arvo.interpreters.rabbit.queues import Queues
from arvo.interpreters.rabbit.settings import check_url
from arvo.interpreters.rabbit.source import Source, Token

PREFIX: Final = "arvo"
# Unsettled messages without a key of one address in this process: enough that the next one is here
# when the last one is done, and few enough that no process holds work that another could do.
PREFETCH: Final = 32
# Messages in one queue above which it is full.
QUEUE_MAX: Final = 1_000_000
# A new server first has queues to create.
QUIET_SECONDS: Final = 1.0


@final
@define(eq=False)
class RabbitBroker:
    """Messages in RabbitMQ 3.10 or later, connected at first use.

    *url*: `amqp://user:password@host:5672/virtualhost`, `amqps://…` with TLS. *prefix*: of the
    names of its queues; two brokers with the same prefix share their messages. *prefetch*:
    unsettled messages without a key of one address in this process. *queue_max*: messages in one
    queue above which `publish` raises `Unavailable`; a queue keeps the maximum that it was created
    with.

    Queues are quorum queues: a published message is on the disks of more than half of the queue's
    replicas. Of one address, messages with a key are in 16 queues by its hash, each of which one
    process has at a time, timers included, and those without one in another, which all processes
    share. The body of a message is the CloudEvent; other programs may publish such messages to the
    queue `{prefix}:{address}`. The queue `{prefix}:{address}:dead` has the dead letters.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    prefetch: int = PREFETCH
    queue_max: int = QUEUE_MAX
    quiet_seconds: float = field(default=QUIET_SECONDS, init=False)
    _connection: Connection = field(init=False)
    _queues: Queues = field(init=False)
    _publisher: Publisher = field(init=False)
    _consumers: set[Consumer] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = Connection(check_url(self.url))
        delays = Delays(self._connection)
        self._queues = Queues(self.prefix, self.queue_max, self._connection, delays)
        self._publisher = Publisher(self._connection, self._queues)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages, those of one key in order; when this raises, some may be stored."""
        await self._publisher.publish(messages)

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these queues in order, those of one key one at a time."""
        consumer = Consumer(self._connection, self._queues, self._publisher, self.prefetch, queues)
        self._consumers.add(consumer)
        try:
            async with aclosing(consumer.deliveries()) as incoming:
                async for delivery in incoming:
                    yield delivery
        finally:
            self._consumers.discard(consumer)

    @property
    def is_opening(self) -> bool:
        """Whether an iteration does not receive from all of its queues yet."""
        return not all(consumer.is_open for consumer in self._consumers)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Delete a message."""
        await _source_of(delivery).ack(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds.

        One with a key stays in this process, before the others of its key. Any other, and a timer,
        is published again.
        """
        source = _source_of(delivery)
        if not delivery.token.order:
            await self.defer(delivery, delay)
        elif source.owns(delivery):
            source.hold(delivery, delay)

    async def pass_on(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds or later, by another process if there is one.

        One with a key moves there with its queue, so that it stays before the others of its key.
        """
        source = _source_of(delivery)
        if not delivery.token.partition:
            await self.defer(delivery, delay)
        elif source.owns(delivery):
            source.pass_on(delivery, delay)

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds, by publishing it again.

        It is then behind the others of its key.
        """
        source = _source_of(delivery)
        if source.owns(delivery):
            partition, failures = delivery.token.partition, delivery.attempt - delivery.returns
            await self._publisher.publish_one(delivery.message, partition, failures + 1, delay)
            await source.ack(delivery)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message, with the reason, to the dead-letter queue of its address."""
        source = _source_of(delivery)
        if source.owns(delivery):
            address, incoming = delivery.message.queue, delivery.token.incoming
            headers = {**incoming.headers, REASON: reason_text(reason)}
            name = self._queues.dead_letters(address)
            await self._queues.declare(self._queues.unordered(address), address)
            await self._publisher.send("", name, incoming.body, headers)
            await source.ack(delivery)

    def owns(self, delivery: EncodedDelivery) -> bool:
        """Return False if another process may have a delivery by now: its channel is closed."""
        return _source_of(delivery).owns(delivery)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def _source_of(delivery: EncodedDelivery) -> Source:
    token = delivery.token
    assert isinstance(token, Token)
    return token.source
