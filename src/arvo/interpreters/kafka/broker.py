"""Broker: topics of Kafka, with one topic and one consumer group for each address."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.violations.violation import Violated
from arvo.interpreters.delivery.backend_url import refuse_url
from arvo.interpreters.delivery.brokers.headers import (
    CONTENT_TYPE,
    ORDER,
    REASON,
    UNTIL,
    reason_text,
    until_text,
    wire_headers,
)
from arvo.interpreters.delivery.brokers.names import ALPHANUMERIC, escape_name, shorten_name
from arvo.interpreters.delivery.brokers.ordering import order_of, ordering_key, with_subject
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.tasks import gather_all
from arvo.interpreters.kafka.consumer import Consumer
from arvo.interpreters.kafka.producer import Producer
from arvo.interpreters.kafka.queue import Queue
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge

logger: Final = get_logger("kafka")

PREFIX: Final = "arvo"
# A delay up to this is held in memory by the process that asked for it; a longer one is written to
# a topic.
DELAY_SECONDS_MAX: Final = 30.0
# A group waits 3 seconds for more members, before it delivers to the first one.
QUIET_SECONDS: Final = 5.0
# The name of a topic has at most 249 characters; some of them tell the kinds of topics apart.
NAME_CHARACTERS_MAX: Final = 240
# The characters of a topic's name, without the escape character.
_PLAIN: Final = ALPHANUMERIC + ".-"


@final
@define(eq=False)
class KafkaBroker:
    """Messages in Kafka, connected at first use.

    *servers*: `host:9092,host:9092`. *prefix*: of the names of its topics; two brokers
    with the same prefix share their messages. *settings*: more properties of librdkafka, for
    producer and consumers. *quiet_seconds*: after so long without a delivery, a pair assumes that
    the broker is empty.

    The value of a message is the CloudEvent; other programs may write such messages to the topic
    `{prefix}.{address}`. Delayed messages are in `…_later`, dead letters in `…_dead`. Events of one
    workflow share a partition. Kafka stores the messages of a topic until their retention ends,
    settled or not: set `retention.ms` to longer than any time without workers.
    """

    servers: str
    prefix: str = PREFIX
    settings: Mapping[str, Any] = field(factory=dict, repr=False)
    quiet_seconds: float = QUIET_SECONDS
    _producer: Producer = field(init=False)
    _queues: dict[str, Queue] = field(factory=dict, init=False)
    _opening: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        if "@" in self.servers:
            raise refuse_login()
        # A producer refuses the properties of consumer groups.
        settings = self._all_settings().items()
        self._producer = Producer({k: v for k, v in settings if not k.startswith("group.")})

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages; when this raises, some may be stored, but of no key one behind another
        that is not.
        """
        by_key: dict[object, list[EncodedMessage]] = {}
        for number, message in enumerate(messages):
            order = order_of(message)
            by_key.setdefault((message.queue, order) if order else number, []).append(message)
        await gather_all([self._publish_all(each) for each in by_key.values()])

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these topics in order, those of one key one at a time."""
        entered: list[Queue] = []
        iteration = object()
        try:
            for name in queues:
                entered.append(await self._enter(name))  # noqa: PERF401 - left below if one fails
            while True:
                for queue in entered:
                    queue.consumer.wakeup.clear()
                delivery = next(filter(None, (queue.next(iteration) for queue in entered)), None)
                if delivery is None:
                    await _wait_for_delivery(entered)
                    continue
                yield delivery
        finally:
            for queue in entered:
                queue.return_all(iteration)
            for queue in entered:
                await self._leave(queue)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Settle a message."""
        queue: Queue = delivery.token.queue
        if queue.owns(delivery):
            queue.ack(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; one with a key before the others of it."""
        queue: Queue = delivery.token.queue
        if queue.owns(delivery):
            if delivery.token.order or delay <= DELAY_SECONDS_MAX:
                queue.nack(delivery, delay)
            else:
                await self._write_later(delivery, delay)

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; the others of its key pass it."""
        queue: Queue = delivery.token.queue
        if queue.owns(delivery):
            if delay <= DELAY_SECONDS_MAX:
                queue.defer(delivery, delay)
            else:
                await self._write_later(delivery, delay)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Write a message, with the reason, to the dead-letter topic of its queue."""
        queue: Queue = delivery.token.queue
        if queue.owns(delivery):
            message = delivery.message
            headers = {**_headers(message, delivery.attempt), REASON: reason_text(reason)}
            # With more headers it may be too large, so then it is written without them.
            if not await self._write_dead_letter(message, headers) and not (
                await self._write_dead_letter(message, message.headers)
            ):
                extra = fields(queue=queue.name)
                logger.error("a dead letter is too large for its topic", extra=extra)
            await self.ack(delivery)

    async def close(self) -> None:
        """Close the connections."""
        for queue in list(self._queues.values()):
            await self._stop(queue)
        await self._producer.close()

    async def _publish_all(self, messages: Sequence[EncodedMessage]) -> None:
        for message in messages:
            await self._write(EncodedDelivery(message), message.due)

    async def _write_later(self, delivery: EncodedDelivery, delay: float) -> None:
        """Write a message to the topic of delayed messages, and settle it here."""
        until = utc_now() + timedelta(seconds=delay)
        try:
            await self._write(evolve(delivery, attempt=delivery.attempt + 1), until)
        except TooLarge:
            # With more headers it is too large for the topic, so it is held in memory.
            delivery.token.queue.defer(delivery, delay)
        else:
            await self.ack(delivery)

    async def _forward(self, message: EncodedMessage, headers: Mapping[str, str]) -> None:
        """Write a message of another program to the partition of its key."""
        key = ordering_key(with_subject(message))
        await self._producer.send(self._topic(message.queue), key, message.body, headers)

    async def _write(self, delivery: EncodedDelivery, until: datetime | None) -> None:
        """Write a message to its topic, or to the topic of delayed messages."""
        message, topic = delivery.message, self._topic(delivery.message.queue)
        headers = _headers(message, delivery.attempt - delivery.returns)
        if until is not None and until > utc_now():
            topic, headers[UNTIL] = f"{topic}_later", until_text(until)
        await self._producer.send(topic, _partition_key(message), message.body, headers)

    async def _write_dead_letter(self, message: EncodedMessage, headers: Mapping[str, str]) -> bool:
        topic = f"{self._topic(message.queue)}_dead"
        try:
            await self._producer.send(topic, message.key, message.body, headers)
        except TooLarge:
            return False
        return True

    async def _enter(self, name: str) -> Queue:
        """Add an iteration to a queue, and consume its topics if no other one does."""
        topic = self._topic(name)
        topics = [topic, f"{topic}_later"]
        if name not in self._queues:
            await self._producer.ensure_topics(topics)
        async with self._opening:
            queue = self._queues.get(name)
            if queue is not None and queue.consumer.error is not None:
                await self._stop(queue)
                queue = None
            if queue is None:
                consumer = Consumer(topics, {**self._all_settings(), "group.id": topic})
                queue = self._queues[name] = Queue(name, consumer, self._write, self._forward)
            queue.iterations += 1
            return queue

    async def _leave(self, queue: Queue) -> None:
        """Remove an iteration. After the last one, other processes get the partitions."""
        async with self._opening:
            queue.iterations -= 1
            if not queue.iterations:
                await self._stop(queue)

    async def _stop(self, queue: Queue) -> None:
        if self._queues.get(queue.name) is queue:
            del self._queues[queue.name]
        await queue.stop()

    def _all_settings(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.servers, "logger": logger, **self.settings}

    def _topic(self, queue: str) -> str:
        name = f"{self.prefix}.{escape_name(queue, plain=_PLAIN, escape='_')}"
        return shorten_name(name, NAME_CHARACTERS_MAX, separator=".")


def refuse_login() -> Violated:
    """Return the error for a login in front of a host, which the driver would take for the host."""
    remedy = "the query of the URL holds them, as sasl.username and sasl.password"
    return refuse_url("kafka", f"a user or a password before the host: {remedy}")


def _headers(message: EncodedMessage, attempt: int) -> dict[str, str]:
    headers = {**wire_headers(message, attempt), ORDER: order_of(message)}
    return {"content-type": CONTENT_TYPE, **headers}


def _partition_key(message: EncodedMessage) -> str | None:
    return ordering_key(message) or message.key


async def _wait_for_delivery(queues: Sequence[Queue]) -> None:
    """Wait until a message arrives in one of the queues."""
    waits = [asyncio.ensure_future(queue.consumer.wakeup.wait()) for queue in queues]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
