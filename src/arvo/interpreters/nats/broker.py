"""Broker: JetStream as a broker, with one durable pull consumer for each address."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final, final
from urllib.parse import quote

import orjson
from attrs import define, field

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.headers import REASON, reason_text
from arvo.interpreters.delivery.tasks import gather_all
from arvo.interpreters.nats.connection import Connection, Headers
from arvo.interpreters.nats.errors import TOO_LARGE
from arvo.interpreters.nats.in_flight import ACK, NAK, TERM, InFlight, PulledMessage
from arvo.interpreters.nats.queue_depth import DepthCounter
from arvo.interpreters.nats.settings import Storage, check_settings
from arvo.interpreters.nats.streams import NANOSECONDS, Streams
from arvo.interpreters.nats.wire import body_bytes_max, encode_body, encode_headers, subject_name
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge, Unavailable
from arvo.interpreters.ports.results import Depth

# How often a message is published whose confirmation was lost; the server recognises its id.
TRIES_MAX: Final = 3
PAUSE_SECONDS: Final = 0.2
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
    _connection: Connection = field(init=False)
    _streams: Streams = field(init=False)
    _depth_counter: DepthCounter = field(init=False)
    _publisher_id: str = field(init=False)
    _numbers: "count[int]" = field(factory=count, init=False)
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
        self._streams = Streams(self._connection, **settings)
        self._depth_counter = DepthCounter(self._streams)
        self._publisher_id = secrets.token_hex(8)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages in order, without waiting for one confirmation before the next message."""
        await self._streams.declare()
        payload_max = await self._connection.payload_max()
        # All of them before the first is sent, because one that is too large is refused here.
        encoded = [self._encode(message, payload_max) for message in messages]
        await gather_all([self._send(*parts) for parts in encoded])

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these queues, each queue in the order of publishing."""
        in_flight = InFlight(self._connection, self._streams)
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
            self._acked[pulled.consumer] = pulled.reply

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Have the server redeliver a message after *delay* seconds."""
        pulled = _owned(delivery)
        if pulled is not None:
            wait = orjson.dumps({"delay": round(delay * NANOSECONDS)}) if delay > 0 else b""
            await pulled.settle(self._connection, NAK + b" " + wait)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message as it arrived, with the reason, to the stream of the dead letters."""
        pulled = _owned(delivery)
        if pulled is None:
            return
        text = reason_text(reason)
        original = {n: value for n, value in pulled.headers.items() if not n.startswith("Nats-")}
        headers = {**original, REASON: quote(text, safe=_REASON_SAFE), **self._message_id()}
        if len(pulled.body) > body_bytes_max(headers, await self._connection.payload_max()):
            # It is as large as a message can be. The server gets the reason below.
            headers = original
        # The copy first: a crash before the next line makes two of it, not none.
        await self._send(
            subject_name(self._streams.dead_letters, pulled.queue), pulled.body, headers
        )
        await pulled.settle(self._connection, TERM + b" " + text.encode())

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

    def _encode(self, message: EncodedMessage, payload_max: int) -> tuple[str, bytes, Headers]:
        """Return the subject, the body and the headers of a message."""
        headers = {**encode_headers(message), **self._message_id()}
        subject = subject_name(self._streams.queue, message.queue)
        if message.due is not None and message.due > utc_now():
            # NATS ADR-51: the server holds it under a subject of its own until then.
            target = subject_name(f"{self.prefix}-due", message.queue)
            headers["Nats-Schedule"] = f"@at {_rfc3339(message.due)}"
            headers["Nats-Schedule-Target"] = target
            subject = f"{self.prefix}-timer.{headers['Nats-Msg-Id']}"
        return subject, encode_body(message, headers, payload_max), headers

    def _message_id(self) -> Headers:
        # Of this publish, not of the event: when a dead letter is redriven, the same event is
        # published again on purpose, and the server must not take it for a duplicate.
        return {"Nats-Msg-Id": f"{self._publisher_id}-{next(self._numbers)}"}

    async def _send(self, subject: str, body: bytes, headers: Headers) -> None:
        """Publish until the server confirms; a lost confirmation is retried with the same id."""
        for tries in range(1, TRIES_MAX + 1):
            try:
                reply = await self._connection.request(subject, body, headers)
                break
            except Unavailable:
                if tries == TRIES_MAX:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
                await self._streams.declare()
        if (error := self._connection.read_reply(reply, {TOO_LARGE}).get("error")) is not None:
            text = f"nats: {error.get('description')} ({TOO_LARGE})"
            raise TooLarge(f"{text}: raise the stream's max_msg_size")


def _owned(delivery: EncodedDelivery) -> PulledMessage | None:
    """Return the pulled message, None if another process may have it by now."""
    pulled = delivery.token
    assert isinstance(pulled, PulledMessage)
    return pulled if pulled.is_owned else None


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
