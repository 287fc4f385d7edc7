"""Broker: topics of Kafka, one for each address, and a group of consumers for each."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import blake2b
from math import ceil
from typing import Any, Final, final

from attrs import define, evolve, field
from confluent_kafka import Message as Record

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.headers import REASON, REASON_CHARACTERS_MAX, packed
from arvo.interpreters.delivery.tasks import every
from arvo.interpreters.kafka.consumer import Reader
from arvo.interpreters.kafka.producer import Writer
from arvo.interpreters.kafka.queue import UNTIL, Queue, headers_of
from arvo.interpreters.ports.backend import TooLarge
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage

logger: Final = logging.getLogger("arvo.kafka")

PREFIX: Final = "arvo"
# A delay up to this is waited for where it was asked for; a longer one is written down.
DELAY_SECONDS_MAX: Final = 30.0
# A group waits for 3 seconds for others, before it hands out anything to its first member.
QUIET_SECONDS: Final = 5.0
# A topic's name has 249 characters, of which some say what kind of topic it is.
NAME_CHARACTERS_MAX: Final = 240
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")


@final
@define(eq=False)
class KafkaBroker:
    """Messages in Kafka, opened at first use.

    *servers*: `host:9092,host:9092`. *prefix*: what the names of its topics begin with; two that
    share it share what they hold. *settings*: further properties of librdkafka, for producer and
    consumers. *quiet_seconds*: when nothing has come for so long, a pair takes it to be at rest.

    The value of a message is the CloudEvent, and other programs may write such to the topic
    `{prefix}.{address}`; what comes later waits in `…_later`, what nobody could take is in
    `…_dead`. Events of one workflow share a partition. Kafka has a topic's messages for as long as
    its retention says, settled or not: set `retention.ms` to longer than anybody may be away.
    """

    servers: str
    prefix: str = PREFIX
    settings: Mapping[str, Any] = field(factory=dict, repr=False)
    quiet_seconds: float = QUIET_SECONDS
    _writer: Writer = field(init=False)
    _queues: dict[str, Queue] = field(factory=dict, init=False)
    _opening: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        # What is said of groups is for consumers.
        said = {key: each for key, each in self._all_settings().items() if key[:6] != "group."}
        self._writer = Writer(said)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Take messages; some may have been taken when this raises."""
        await every(self._put(EncodedDelivery(each), each.due) for each in messages)

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Hand out the messages of these topics, those of one partition in the order they came."""
        queues: list[Queue] = []
        me = object()
        try:
            for address in addresses:
                queues.append(await self._enter(address))  # noqa: PERF401 - left again if one fails
            while True:
                for queue in queues:
                    queue.reader.news.clear()
                delivery = next(filter(None, (queue.next(me) for queue in queues)), None)
                if delivery is None:
                    await _news(queues)
                    continue
                yield delivery
        finally:
            for queue in queues:
                queue.give_back(me)
            for queue in queues:
                await self._leave(queue)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Forget a message."""
        queue: Queue = delivery.token.queue
        if queue.is_ours(delivery):
            queue.ack(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Hand a message out again after *delay* seconds."""
        queue: Queue = delivery.token.queue
        if not queue.is_ours(delivery):
            return
        if delay <= DELAY_SECONDS_MAX:
            queue.nack(delivery, delay)
            return
        later = utc_now() + timedelta(seconds=delay)
        try:
            await self._put(evolve(delivery, attempt=delivery.attempt + 1), later)
        except TooLarge:
            # With its headers it has outgrown the topic: it waits where it is.
            queue.nack(delivery, delay)
        else:
            await self.ack(delivery)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Write a message to the topic of the dead, with its reason."""
        queue: Queue = delivery.token.queue
        if queue.is_ours(delivery):
            message = delivery.message
            parcel = packed(message, delivery.attempt)
            topic = f"{self._topic(message.address)}_dead"
            headers = {**parcel.headers, REASON: reason[:REASON_CHARACTERS_MAX]}
            # With its reason it may be larger than what came; the pair has kept both.
            with suppress(TooLarge):
                await self._writer.send(topic, _key(message), parcel.body, headers)
            await self.ack(delivery)

    async def close(self) -> None:
        """Let go of the connections."""
        for queue in list(self._queues.values()):
            await self._stop(queue)
        await self._writer.close()

    async def _put(self, delivery: EncodedDelivery, until: datetime | None) -> None:
        message = delivery.message
        parcel, topic = packed(message, delivery.attempt), self._topic(message.address)
        headers = parcel.headers
        if until is not None and until > utc_now():
            topic, headers = f"{topic}_later", {**headers, UNTIL: str(ceil(_milliseconds(until)))}
        await self._writer.send(topic, _key(message), parcel.body, headers)

    async def _put_aside(self, address: str, record: Record, reason: str) -> None:
        """Write what came and is no message to the topic of the dead, as it is."""
        headers = {
            name: value.decode(errors="replace") for name, value in headers_of(record).items()
        }
        key: Any = record.key() or b""
        topic, body = f"{self._topic(address)}_dead", record.value() or b""
        said = key.decode(errors="replace")
        try:
            told = {**headers, REASON: reason[:REASON_CHARACTERS_MAX]}
            await self._writer.send(topic, said, body, told)
        except TooLarge:
            # It came as large as may be, so without the reason, which is logged.
            await self._writer.send(topic, said, body, headers)

    async def _enter(self, address: str) -> Queue:
        """Read a topic, if nobody here does."""
        topic = self._topic(address)
        topics = [topic, f"{topic}_later"]
        if address not in self._queues:
            await self._writer.reach(topics)
        async with self._opening:
            queue = self._queues.get(address)
            if queue is not None and queue.reader.error is not None:
                await self._stop(queue)
                queue = None
            if queue is None:
                reader = Reader(topics, {**self._all_settings(), "group.id": topic})
                queue = self._queues[address] = Queue(
                    address,
                    reader,
                    self._put,
                    lambda record, reason: self._put_aside(address, record, reason),
                )
            queue.takers += 1
            return queue

    async def _leave(self, queue: Queue) -> None:
        """Stop reading when nobody does any more, for the partitions are better with others."""
        async with self._opening:
            queue.takers -= 1
            if not queue.takers:
                await self._stop(queue)

    async def _stop(self, queue: Queue) -> None:
        if self._queues.get(queue.address) is queue:
            del self._queues[queue.address]
        await queue.stop()

    def _all_settings(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.servers, "logger": logger, **self.settings}

    def _topic(self, address: str) -> str:
        """Say an address in the characters that a topic's name may have."""
        said = "".join(chr(c) if c in _PLAIN else f"_{c:02x}" for c in address.encode())
        name = f"{self.prefix}.{said}"
        if len(name) <= NAME_CHARACTERS_MAX:
            return name
        digest = blake2b(name.encode(), digest_size=16).hexdigest()
        return f"{name[: NAME_CHARACTERS_MAX // 2]}.{digest}"


def _key(message: EncodedMessage) -> str:
    """Say what decides about the partition: events of one workflow keep their order."""
    return message.event.subject


def _milliseconds(time: datetime) -> float:
    return time.timestamp() * 1000


async def _news(queues: Sequence[Queue]) -> None:
    """Wait until something came in one of the queues."""
    waits = [asyncio.ensure_future(queue.reader.news.wait()) for queue in queues]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
