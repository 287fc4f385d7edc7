"""Broker: JetStream as a broker, one durable pull consumer for each address."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final, final
from urllib.parse import quote

import orjson
from attrs import define, field

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.headers import REASON, REASON_CHARACTERS_MAX
from arvo.interpreters.delivery.tasks import every
from arvo.interpreters.nats import wire
from arvo.interpreters.nats.connection import TOO_LARGE, Headers, Link
from arvo.interpreters.nats.in_flight import ACK, Hand, Taken
from arvo.interpreters.nats.queue_depth import Census
from arvo.interpreters.nats.settings import Storage, check
from arvo.interpreters.nats.streams import NANOSECONDS, Streams
from arvo.interpreters.ports.backend import Depth, TooLarge, Unavailable
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage

logger: Final = logging.getLogger("arvo")

# How often a message is sent whose answer was lost; the server knows it by its id.
TRIES_MAX: Final = 3
PAUSE_SECONDS: Final = 0.2
ACK_WAIT_SECONDS: Final = 30.0
MESSAGES_MAX: Final = 1_000_000


@final
@define(eq=False)
class NatsBroker:
    """Queues in JetStream, for any number of processes.

    *servers*: `nats://host:4222`, or several with commas between them. *prefix*: the first token of
    our subjects (`<prefix>.<address>`) and the name of our streams. *replicas*, *storage*: of the
    streams, where they are not there yet. *ack_wait*: seconds after which a process that gives no
    sign of life has lost what it has in hand. *messages_max*, *bytes_max*: what the queue holds
    before `publish` raises `Unavailable`.

    It is opened at its first use, and at the first after `close`.
    """

    servers: str = field(repr=False)
    prefix: str = field(default="arvo", kw_only=True)
    replicas: int = field(default=1, kw_only=True)
    storage: Storage = field(default="file", kw_only=True)
    ack_wait: float = field(default=ACK_WAIT_SECONDS, kw_only=True)
    messages_max: int = field(default=MESSAGES_MAX, kw_only=True)
    bytes_max: int | None = field(default=None, kw_only=True)
    _link: Link = field(init=False)
    _streams: Streams = field(init=False)
    _census: Census = field(init=False)
    _me: str = field(init=False)
    _numbers: "count[int]" = field(factory=count, init=False)
    # By consumer, the last message that was done and that the server may not have forgotten yet.
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
        check(servers=self.servers, **settings)
        self._link = Link(self.servers)
        self._streams = Streams(self._link, **settings)
        self._census = Census(self._streams)
        self._me = secrets.token_hex(8)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Take messages, in order, all on their way at once."""
        await self._streams.make()
        payload_max = await self._link.payload_max()
        # All of them before the first is sent, for one that does not fit is refused here.
        said = [self._said(message, payload_max) for message in messages]
        await every(self._send(*each) for each in said)

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Hand out the messages of these queues, each queue in the order that they came."""
        hand = Hand(self._link, self._streams, self.reject)
        try:
            await hand.open(addresses)
            while True:
                yield await hand.next()
        finally:
            await hand.close()

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Forget a message; nobody waits until the server has."""
        taken = _mine(delivery)
        if taken is not None:
            await taken.forget(self._link)
            self._acked[taken.consumer] = taken.reply

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Have the server hand a message out again after *delay* seconds."""
        wait = orjson.dumps({"delay": round(delay * NANOSECONDS)}) if delay > 0 else b""
        await self._settle(delivery, b"-NAK " + wait)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Put a message among the dead, with the reason, and have it handed out no more."""
        taken = _mine(delivery)
        if taken is not None:
            await self.reject(taken, reason)

    async def depth(self) -> Depth:
        """Say how much is under way; what is put off counts as taken."""
        await self._streams.make()
        # To be told again, and to answer, a consumer must have heard all that came before.
        acked, self._acked = self._acked, {}
        await asyncio.gather(*(self._link.ask(reply, ACK) for reply in acked.values()))
        return await self._census.take()

    async def close(self) -> None:
        """Let go of the connection."""
        self._acked.clear()
        await self._link.close()

    async def reject(self, taken: Taken, reason: str) -> None:
        """Put what came among the dead as it came, and have it handed out no more."""
        told = " ".join(reason.split())[:REASON_CHARACTERS_MAX]
        came = {name: each for name, each in taken.headers.items() if not name.startswith("Nats-")}
        reason = quote(told, safe=" ,:;'()[]{}<>=/+-_.")
        headers = {**came, REASON: reason, **self._id()}
        if len(taken.body) > wire.room_beside(headers, await self._link.payload_max()):
            # It came as large as may be; the server is told the reason below.
            headers = came
        subject = wire.subject_of(self._streams.dead, taken.address)
        # First the copy: a crash in between makes two of it, not none.
        await self._send(subject, taken.body, headers)
        await taken.settle(self._link, b"+TERM " + told.encode())

    def _said(self, message: EncodedMessage, payload_max: int) -> tuple[str, bytes, Headers]:
        """Say where a message goes, as what, and with which headers."""
        headers = {**wire.headers_of(message), **self._id()}
        subject = wire.subject_of(self._streams.queue, message.address)
        if message.due is not None and message.due > utc_now():
            # ADR-51: the server holds it under a subject of its own until then.
            headers["Nats-Schedule"] = f"@at {_rfc3339(message.due)}"
            headers["Nats-Schedule-Target"] = wire.subject_of(f"{self.prefix}-due", message.address)
            subject = f"{self.prefix}-timer.{headers['Nats-Msg-Id']}"
        return subject, wire.body_of(message, headers, payload_max), headers

    def _id(self) -> Headers:
        # Of this sending and no other, not of the event: an event is sent a second time on purpose
        # when a dead letter is retried, and the server must not take it for the first.
        return {"Nats-Msg-Id": f"{self._me}-{next(self._numbers)}"}

    async def _send(self, subject: str, body: bytes, headers: Headers) -> None:
        """Send until the server has it; where its answer was lost, again with the same id."""
        for tries in range(1, TRIES_MAX + 1):
            try:
                answer = await self._link.ask(subject, body, headers)
                break
            except Unavailable:
                if tries == TRIES_MAX:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
                await self._streams.make()
        if (error := self._link.content(answer, {TOO_LARGE}).get("error")) is not None:
            said = f"nats: {error.get('description')} ({TOO_LARGE})"
            raise TooLarge(f"{said}: raise the stream's max_msg_size")

    async def _settle(self, delivery: EncodedDelivery, how: bytes) -> None:
        taken = _mine(delivery)
        if taken is not None:
            await taken.settle(self._link, how)


def _mine(delivery: EncodedDelivery) -> Taken | None:
    """Give what was taken, None where it is another's by now."""
    taken = delivery.token
    assert isinstance(taken, Taken)
    return taken if taken.is_mine else None


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
