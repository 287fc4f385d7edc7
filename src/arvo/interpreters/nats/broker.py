"""Broker: JetStream as a broker, with one durable pull consumer for each address."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, final
from urllib.parse import quote

from attrs import define, field

from arvo.interpreters.delivery.brokers.headers import REASON, reason_text
from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.connection.settings import Storage, check_settings
from arvo.interpreters.nats.connection.wire import body_bytes_max, has_key, subject_name
from arvo.interpreters.nats.in_flight import InFlight
from arvo.interpreters.nats.publisher import Publication, Publisher
from arvo.interpreters.nats.pull import ACK, TERM, PulledMessage
from arvo.interpreters.nats.queue_depth import DepthCounter
from arvo.interpreters.nats.reports import NatsReports
from arvo.interpreters.nats.streams import Streams
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.results import Depth

ACK_WAIT_SECONDS: Final = 30.0
MESSAGES_MAX: Final = 1_000_000
# The characters of a reason that a header can carry without an escape.
_REASON_SAFE: Final = " ,:;'()[]{}<>=/+-_."


@final
@define(eq=False)
class NatsBroker:
    """Queues in JetStream, for any number of processes.

    *servers*: `nats://host:4222`, or several separated by commas. *prefix*: of the names of streams
    and of subjects (`<prefix>.<address>`). *replicas*, *storage*: of the streams that it creates.
    *ack_wait*: seconds without an ack or a heartbeat after which the server redelivers what a
    process has. *messages_max*, *bytes_max*: size of the queue above which `publish` raises
    `Unavailable`.

    It connects at its first use, and at the first use after `close`.
    """

    servers: str = field(repr=False)
    prefix: str = field(default="arvo", kw_only=True)
    replicas: int = field(default=1, kw_only=True)
    storage: Storage = field(default="file", kw_only=True)
    ack_wait: float = field(default=ACK_WAIT_SECONDS, kw_only=True)
    messages_max: int = field(default=MESSAGES_MAX, kw_only=True)
    bytes_max: int | None = field(default=None, kw_only=True)
    # The server counts deliveries, however they end.
    nacks_are_returns: bool = field(default=True, init=False)
    reports: NatsReports = field(init=False)
    _connection: Connection = field(init=False)
    _streams: Streams = field(init=False)
    _depth_counter: DepthCounter = field(init=False)
    _publisher: Publisher = field(init=False)
    # By consumer, the last message that was acked without a confirmation.
    _acked: dict[tuple[str, str], str] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        settings: dict[str, Any] = {
            "prefix": self.prefix,
            "replicas": self.replicas,
            "storage": self.storage,
            "ack_wait": self.ack_wait,
            "messages_max": self.messages_max,
            "bytes_max": self.bytes_max,
        }
        check_settings(servers=self.servers, **settings)
        self._connection = Connection(self.servers)
        self.reports = NatsReports(self._connection, self.prefix)
        self._streams = Streams(self._connection, **settings)
        self._depth_counter = DepthCounter(self._streams)
        self._publisher = Publisher(self._streams)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages; those of one key in order."""
        await self._streams.declare()
        await self._publisher.publish(messages)

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these queues, those of one key one at a time and in order."""
        in_flight = InFlight(self._streams, self._publisher)
        try:
            await in_flight.open(queues)
            while True:
                yield await in_flight.next()
        finally:
            await in_flight.close()

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Delete a message, without waiting for the server's confirmation."""
        pulled = _owned(delivery)
        if pulled is not None:
            await pulled.ack(self._connection)
            self._acked[pulled.consumer.stream, pulled.consumer.name] = pulled.reply

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Have the server redeliver a message after *delay* seconds."""
        pulled = _owned(delivery)
        if pulled is not None:
            await pulled.nack(self._connection, delay)

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; the others of its key pass it.

        It leaves its place: a copy without a key is stored behind all others.
        """
        pulled = _owned(delivery)
        if pulled is None:
            return
        if not has_key(pulled.subject):
            await pulled.nack(self._connection, delay)
            return
        try:
            await self._publisher.defer(delivery, pulled.sequence, delay)
        except TooLarge:
            # It does not fit with the headers of a copy, and keeps its place.
            await pulled.nack(self._connection, delay)
            return
        await pulled.settle(self._connection, ACK)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message as it arrived, with the reason, to the stream of the dead letters."""
        pulled = _owned(delivery)
        if pulled is None:
            return
        text = reason_text(reason)
        original = {n: value for n, value in pulled.headers.items() if not n.startswith("Nats-")}
        headers = {**original, REASON: quote(text, safe=_REASON_SAFE), **self._publisher.new_id()}
        if len(pulled.body) > body_bytes_max(headers, await self._connection.payload_max()):
            # It is as large as a message can be. The server gets the reason below.
            headers = original
        # The copy first: a crash before the next line makes two of it, not none.
        subject = subject_name(self._streams.dead_letters, pulled.queue)
        await self._publisher.send(Publication(subject, pulled.body, headers))
        await pulled.settle(self._connection, TERM + b" " + text.encode())

    def owns(self, delivery: EncodedDelivery) -> bool:
        """Return False if another process may have a delivery by now: its lease was not renewed."""
        return _owned(delivery) is not None

    async def has_others(self, delivery: EncodedDelivery) -> bool:
        """Return whether the queue stores a message of the same key behind *delivery*."""
        pulled = _owned(delivery)
        if pulled is None or not has_key(pulled.subject):
            return True
        now = asyncio.get_running_loop().time()
        if await self._streams.first_of(pulled.subject, pulled.sequence + 1) is not None:
            return True
        pulled.alone_at = now
        return False

    async def depth(self) -> Depth:
        """Count the messages; delayed ones count as taken."""
        await self._streams.declare()
        # A consumer handles acks in order, so its reply to a repeated ack confirms those before.
        acked, self._acked = self._acked, {}
        await asyncio.gather(*(self._connection.request(reply, ACK) for reply in acked.values()))
        return await self._depth_counter.count()

    async def close(self) -> None:
        """Close the connection."""
        self._acked.clear()
        await self._connection.close()


def _owned(delivery: EncodedDelivery) -> PulledMessage | None:
    """Return the pulled message, None if another process may have it by now."""
    pulled = delivery.token
    assert isinstance(pulled, PulledMessage)
    return pulled if pulled.is_owned else None
