"""Broker: quorum queues of RabbitMQ, one for each address."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final, final
from urllib.parse import quote

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from attrs import define, field, frozen

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.headers import (
    CONTENT_TYPE,
    REASON,
    Parcel,
    Unreadable,
    packed,
    unpacked,
)
from arvo.interpreters.delivery.tasks import every
from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.rabbit.connection import Link, reached
from arvo.interpreters.rabbit.delays import Delays

logger: Final = logging.getLogger("arvo")

PREFIX: Final = "arvo"
# Messages of one queue that are here and not settled: enough that the next is here when the last is
# done, and few enough that no process sits on the work of another.
PREFETCH: Final = 32
# Messages that wait in one queue before it is full.
QUEUE_MAX: Final = 1_000_000
# Messages that are kept for the dead of one queue; the oldest make way.
DEAD_MAX: Final = 100_000
# Given back so often, a message is taken for one that kills who takes it, and put aside.
RETURNS_MAX: Final = 1_000
# Messages whose arrival is waited for at the same time.
PUBLISHING_MAX: Final = 200
# Bytes of a queue's name, for a routing key has room for 255, and says a delay as well.
NAME_BYTES_MAX: Final = 180
# A server that is asked for the first time has queues to make.
QUIET_SECONDS: Final = 1.0


@final
@frozen(eq=False)
class _Token:
    """A delivery on its channel; when that is closed, the server has it back."""

    channel: AbstractChannel
    incoming: AbstractIncomingMessage

    @property
    def is_ours(self) -> bool:
        return not (self.channel.is_closed or self.incoming.processed)

    async def settle(self) -> None:
        # Written, not answered; where the connection ends meanwhile, it comes again.
        with suppress(*CONNECTION_EXCEPTIONS):
            await self.incoming.ack()


@final
@define(eq=False)
class RabbitBroker:
    """Messages in RabbitMQ 3.10 or later, opened at first use.

    *url*: `amqp://user:password@host:5672/virtualhost`, `amqps://…` with TLS. *prefix*: what the
    names of its queues begin with; two that share it share what they hold. *prefetch*: messages of
    one address that are here and not settled. *queue_max*: messages that wait in one queue before
    `publish` raises `Unavailable`; a queue keeps the one that it was made with.

    Queues are of quorum type: what `publish` has taken is on the disks of more than half of the
    queue's replicas. The body of a message is the CloudEvent, and other programs may publish such
    to `{prefix}:{address}`. What nobody could take is in `{prefix}:{address}:dead`.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    prefetch: int = PREFETCH
    queue_max: int = QUEUE_MAX
    quiet_seconds: float = field(default=QUIET_SECONDS, init=False)
    _link: Link = field(init=False)
    _delays: Delays = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._link = Link(self.url)
        self._delays = Delays(self._link)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Take messages; some may have been taken when this raises."""
        for at in range(0, len(messages), PUBLISHING_MAX):
            some = messages[at : at + PUBLISHING_MAX]
            for address, waits in {(each.address, each.due is not None) for each in some}:
                await self._make(address, waits=waits)
            await every([self._put(each, packed(each)) for each in some])

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Hand out the messages of these queues, in the order they came."""
        for address in addresses:
            await self._make(address)
        channel = await self._link.consumer(self.prefetch)
        # Never longer than what may be here and not settled.
        incoming: asyncio.Queue[tuple[str, AbstractIncomingMessage] | None] = asyncio.Queue()
        try:
            async with reached():
                await _listen_for_its_end(channel, incoming)
                for address in addresses:
                    queue = await channel.get_queue(self._queue(address), ensure=False)
                    await queue.consume(_into(incoming, address))
            while (found := await incoming.get()) is not None:
                delivery = await self._read(channel, *found)
                if delivery is not None:
                    yield delivery
            raise Unavailable("rabbit: the connection is gone, or a queue is")
        finally:
            with suppress(*CONNECTION_EXCEPTIONS):
                await channel.close()

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Forget a message."""
        if delivery.token.is_ours:
            await delivery.token.settle()

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Hand a message out again after *delay* seconds."""
        if delivery.token.is_ours:
            message = delivery.message
            await self._make(message.address, waits=True)
            await self._put(message, packed(message, delivery.attempt + 1), delay)
            await delivery.token.settle()

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message to the queue of the dead, with its reason."""
        if delivery.token.is_ours:
            await self._bury(delivery.message.address, delivery.token.incoming, reason)
            await delivery.token.settle()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._link.close()

    async def _make(self, address: str, *, waits: bool = False) -> None:
        """Make sure that a queue is there, that of its dead, and the way to it after a delay."""
        name, dead = self._queue(address), self._dead(address)
        quorum: dict[str, Any] = {"x-queue-type": "quorum"}
        await self._link.declare(dead, quorum | {"x-max-length": DEAD_MAX})
        arguments: dict[str, Any] = {
            "x-max-length": self.queue_max,
            "x-overflow": "reject-publish",
            # Also what keeps the order: without it, what is given back goes to the end.
            "x-delivery-limit": RETURNS_MAX,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead,
            "x-dead-letter-strategy": "at-least-once",
        }
        await self._link.declare(name, quorum | arguments)
        if waits:
            await self._delays.reach(name)

    async def _put(
        self, message: EncodedMessage, parcel: Parcel, delay: float | None = None
    ) -> None:
        """Send a message on its way, which leads through a delay or not."""
        exchange, name = "", self._queue(message.address)
        if delay is None and message.due is not None:
            delay = (message.due - utc_now()).total_seconds()
        if delay is not None and delay > 0:
            exchange, name = self._delays.way(name, delay)
        await self._send(exchange, name, parcel.body, parcel.headers)

    async def _send(self, exchange: str, key: str, body: bytes, headers: Mapping[str, Any]) -> None:
        message = aio_pika.Message(
            body,
            headers=dict(headers),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        async with self._link.publishing() as channel:
            to = await channel.get_exchange(exchange, ensure=False)
            await to.publish(message, key, mandatory=True)

    async def _read(
        self, channel: AbstractChannel, address: str, incoming: AbstractIncomingMessage
    ) -> EncodedDelivery | None:
        """Read what came; what is no message is put aside."""
        token = _Token(channel, incoming)
        headers = {key: value for key, value in incoming.headers.items() if isinstance(value, str)}
        try:
            return unpacked(address, incoming.body, headers, token)
        except Unreadable as error:
            logger.error("rabbit: a message of %s is put aside: %s", address, error)  # noqa: TRY400 - what came is at fault
            await self._bury(address, incoming, str(error))
            await token.settle()
            return None

    async def _bury(self, address: str, incoming: AbstractIncomingMessage, reason: str) -> None:
        await self._make(address)
        headers = {**incoming.headers, REASON: reason}
        await self._send("", self._dead(address), incoming.body, headers)

    def _queue(self, address: str) -> str:
        name = f"{_quoted(self.prefix)}:{_quoted(address)}"
        if len(name) <= NAME_BYTES_MAX:
            return name
        return f"{name[: NAME_BYTES_MAX // 2]}:{blake2b(name.encode(), digest_size=16).hexdigest()}"

    def _dead(self, address: str) -> str:
        return f"{self._queue(address)}:dead"


def _quoted(text: str) -> str:
    """Say a text in those characters that the driver lets into a queue's name."""
    return quote(text, safe="").replace("%", ",").replace("~", ",7E")


def _into(
    incoming: "asyncio.Queue[tuple[str, AbstractIncomingMessage] | None]", address: str
) -> Any:
    async def put(message: AbstractIncomingMessage) -> None:
        incoming.put_nowait((address, message))

    return put


async def _listen_for_its_end(channel: AbstractChannel, incoming: "asyncio.Queue[Any]") -> None:
    """Have who waits told when the channel is closed, or a queue of it deleted."""

    def ended(*_: object) -> None:
        incoming.put_nowait(None)

    channel.close_callbacks.add(ended)
    below = await channel.get_underlay_channel()
    below.on_consumer_cancel_callbacks.add(ended)
