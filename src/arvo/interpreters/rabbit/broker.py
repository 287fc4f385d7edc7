"""Broker: quorum queues of RabbitMQ, one for each address."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from attrs import define, field, frozen

from arvo.interpreters.delivery.brokers.headers import (
    CONTENT_TYPE,
    REASON,
    reason_text,
    take_attempt,
    wire_headers,
)
from arvo.interpreters.delivery.brokers.names import ALPHANUMERIC, escape_name, shorten_name
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.tasks import gather_all
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.rabbit.connection import CALL_SECONDS_MAX, Connection
from arvo.interpreters.rabbit.delays import Delays
from arvo.interpreters.rabbit.errors import translate_errors
from arvo.interpreters.rabbit.settings import check_url

PREFIX: Final = "arvo"
# Unsettled messages of one queue in this process: enough that the next one is here when the last
# one is done, and few enough that no process holds work that another could do.
PREFETCH: Final = 32
# Messages in one queue above which it is full.
QUEUE_MAX: Final = 1_000_000
# Messages in the dead-letter queue of one queue; the oldest are dropped.
DEAD_LETTERS_MAX: Final = 100_000
# After so many deliveries without a settlement, the server moves a message to the dead letters: it
# probably kills each process that receives it.
RETURNS_MAX: Final = 1_000
# Messages that are published at the same time, before their confirmations are awaited.
PUBLISHING_MAX: Final = 200
# The length of a queue's name. A routing key has at most 255 bytes, and also holds a delay.
NAME_BYTES_MAX: Final = 180
# A new server first has queues to create.
QUIET_SECONDS: Final = 1.0
# The characters of a queue's name that the driver accepts, without the escape character.
_PLAIN: Final = ALPHANUMERIC + "_.-"

# A message with the name of its queue; None once the channel or the queue is gone.
_Incoming: TypeAlias = "asyncio.Queue[tuple[str, AbstractIncomingMessage] | None]"


@final
@frozen(eq=False)
class _Token:
    """A delivery on its channel; when that closes, the server takes the delivery back."""

    channel: AbstractChannel
    incoming: AbstractIncomingMessage

    @property
    def is_owned(self) -> bool:
        return not (self.channel.is_closed or self.incoming.processed)

    async def ack(self) -> None:
        # The server does not confirm it. If the connection is lost, the message is redelivered.
        with suppress(*CONNECTION_EXCEPTIONS):
            await self.incoming.ack()


@final
@define(eq=False)
class RabbitBroker:
    """Messages in RabbitMQ 3.10 or later, connected at first use.

    *url*: `amqp://user:password@host:5672/virtualhost`, `amqps://…` with TLS. *prefix*: of the
    names of its queues; two brokers with the same prefix share their messages. *prefetch*:
    unsettled messages of one queue in this process. *queue_max*: messages in one queue above which
    `publish` raises `Unavailable`; a queue keeps the maximum that it was created with.

    Queues are quorum queues: a published message is on the disks of more than half of the queue's
    replicas. The body of a message is the CloudEvent; other programs may publish such messages to
    the queue `{prefix}:{address}`. The queue `{prefix}:{address}:dead` has the dead letters.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    prefetch: int = PREFETCH
    queue_max: int = QUEUE_MAX
    quiet_seconds: float = field(default=QUIET_SECONDS, init=False)
    _connection: Connection = field(init=False)
    _delays: Delays = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = Connection(check_url(self.url))
        self._delays = Delays(self._connection)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages; when this raises, some may be stored."""
        for at in range(0, len(messages), PUBLISHING_MAX):
            batch = messages[at : at + PUBLISHING_MAX]
            queues = {(message.queue, message.due is not None) for message in batch}
            for queue, is_delayed in queues:
                await self._declare(queue, is_delayed=is_delayed)
            await gather_all([self._publish(message) for message in batch])

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these queues, in the order in which they were published."""
        for queue in queues:
            await self._declare(queue)
        channel = await self._connection.consumer(self.prefetch)
        # Bounded by the prefetch of the channel.
        incoming: _Incoming = asyncio.Queue()
        try:
            with translate_errors():
                async with asyncio.timeout(CALL_SECONDS_MAX):
                    await _watch(channel, incoming)
                    for queue in queues:
                        source = await channel.get_queue(self._queue_name(queue), ensure=False)
                        await source.consume(_put_into(incoming, queue))
            while (item := await incoming.get()) is not None:
                yield _delivery(channel, *item)
            raise Unavailable("rabbit: the connection or a queue is gone")
        finally:
            with suppress(*CONNECTION_EXCEPTIONS):
                await channel.close()

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Delete a message."""
        if delivery.token.is_owned:
            await delivery.token.ack()

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds, by publishing it again."""
        if delivery.token.is_owned:
            await self._declare(delivery.message.queue, is_delayed=True)
            failures = delivery.attempt - delivery.returns
            await self._publish(delivery.message, failures + 1, delay)
            await delivery.token.ack()

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message, with the reason, to the dead-letter queue of its queue."""
        if delivery.token.is_owned:
            queue, incoming = delivery.message.queue, delivery.token.incoming
            await self._declare(queue)
            headers = {**incoming.headers, REASON: reason_text(reason)}
            await self._send("", self._dead_letter_name(queue), incoming.body, headers)
            await delivery.token.ack()

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _declare(self, queue: str, *, is_delayed: bool = False) -> None:
        """Create a queue, its dead-letter queue, and its delays, where they do not exist."""
        name, dead_letters = self._queue_name(queue), self._dead_letter_name(queue)
        quorum: dict[str, Any] = {"x-queue-type": "quorum"}
        await self._connection.declare(dead_letters, quorum | {"x-max-length": DEAD_LETTERS_MAX})
        arguments: dict[str, Any] = {
            "x-max-length": self.queue_max,
            "x-overflow": "reject-publish",
            # It also keeps the order: without a limit, a returned message goes to the end.
            "x-delivery-limit": RETURNS_MAX,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead_letters,
            "x-dead-letter-strategy": "at-least-once",
        }
        await self._connection.declare(name, quorum | arguments)
        if is_delayed:
            await self._delays.bind(name)

    async def _publish(
        self, message: EncodedMessage, attempt: int = 1, delay: float | None = None
    ) -> None:
        """Publish a message to its queue, or to the delay before it."""
        exchange, key = "", self._queue_name(message.queue)
        if delay is None and message.due is not None:
            delay = (message.due - utc_now()).total_seconds()
        if delay is not None and delay > 0:
            exchange, key = self._delays.route(key, delay)
        await self._send(exchange, key, message.body, wire_headers(message, attempt))

    async def _send(self, exchange: str, key: str, body: bytes, headers: Mapping[str, Any]) -> None:
        message = aio_pika.Message(
            body,
            headers=dict(headers),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        async with self._connection.publishing() as channel:
            target = await channel.get_exchange(exchange, ensure=False)
            await target.publish(message, key, mandatory=True)

    def _queue_name(self, queue: str) -> str:
        parts = (escape_name(text, plain=_PLAIN, escape=",") for text in (self.prefix, queue))
        return shorten_name(":".join(parts), NAME_BYTES_MAX, separator=":")

    def _dead_letter_name(self, queue: str) -> str:
        return f"{self._queue_name(queue)}:dead"


def _delivery(
    channel: AbstractChannel, queue: str, incoming: AbstractIncomingMessage
) -> EncodedDelivery:
    """Make a delivery; other programs, and the server, may have added headers of any type."""
    headers = {
        name: value
        for name, value in incoming.headers.items()
        if isinstance(value, str) and not name.startswith("x-")
    }
    attempt, returns = take_attempt(headers), _returns(incoming)
    message = EncodedMessage(queue, incoming.body, headers)
    return EncodedDelivery(message, attempt + returns, _Token(channel, incoming), returns)


def _returns(incoming: AbstractIncomingMessage) -> int:
    """Return how often the server took a message back; which header has it depends on its version.

    A nack publishes the message again, so it counts from 0.
    """
    counts = [incoming.headers.get(name) for name in ("x-delivery-count", "x-acquired-count")]
    numbers = [count for count in counts if isinstance(count, int)]
    return max(int(bool(incoming.redelivered)), *numbers, 0)


def _put_into(incoming: _Incoming, queue: str) -> Any:
    async def put(message: AbstractIncomingMessage) -> None:
        incoming.put_nowait((queue, message))

    return put


async def _watch(channel: AbstractChannel, incoming: _Incoming) -> None:
    """Put None into *incoming* when the channel is closed, or one of its queues deleted."""

    def on_end(*_: object) -> None:
        incoming.put_nowait(None)

    channel.close_callbacks.add(on_end)
    underlay = await channel.get_underlay_channel()
    underlay.on_consumer_cancel_callbacks.add(on_end)
