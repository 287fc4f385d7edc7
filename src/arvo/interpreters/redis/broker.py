"""Broker: Redis Streams as queues, one stream and one consumer group for each."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from math import ceil
from typing import Any, Final, final

from attrs import define, field

from arvo.interpreters.delivery.brokers.headers import ORDER, reason_text, wire_headers
from arvo.interpreters.delivery.brokers.ordering import order_of
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.results import Depth
from arvo.interpreters.redis.connection import Connection
from arvo.interpreters.redis.consumer import EVENT, GROUP, Consumer, Token, order_keys
from arvo.interpreters.redis.notifications import Notifications
from arvo.interpreters.redis.reports import RedisReports
from arvo.interpreters.redis.store import PREFIX

logger: Final = get_logger("redis")

# A consumer that has not renewed its lease for so long counts as dead. It is longer than any pause
# of a live process.
LEASE_SECONDS: Final = 30.0
# Messages of one queue, delayed ones included, above which it is full.
QUEUE_MAX: Final = 1_000_000
# How long the server remembers the id of a message that has one.
DEDUPE_SECONDS: Final = 60
# Messages in the dead-letter stream of one queue; the oldest are dropped, and the log counts them.
DEAD_LETTERS_MAX: Final = 10_000


@final
@define(eq=False)
class RedisBroker:
    """Messages in Redis Streams, connected at first use.

    *url*: `redis://host:6379/0`, `rediss://…` with TLS. *prefix*: of its keys; two brokers with the
    same prefix share their messages. *lease*: seconds without a renewal after which a process
    counts as dead, and its deliveries are redelivered. *queue_max*: messages of one queue, delayed
    ones included, above which `publish` raises `Unavailable`.

    An entry of the stream `{prefix}:queue:{address}` has the CloudEvent in its field `event`; other
    programs may add such entries. The stream `{prefix}:dead:{address}` has the dead letters.
    `RedisMemory` states which failures a message survives.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    lease: float = LEASE_SECONDS
    queue_max: int = QUEUE_MAX
    reports: RedisReports = field(init=False)
    _connection: Connection = field(init=False)
    _notifications: Notifications = field(init=False)
    # The consumers of this process, by name.
    _consumers: dict[str, Consumer] = field(factory=dict, init=False)
    # Consumers that ended while the server was unavailable. The next iteration deregisters them.
    _unregistered: list[Consumer] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = Connection(self.url)
        self.reports = RedisReports(self._connection, self.prefix)
        self._notifications = Notifications(self._connection, f"{self.prefix}:notifications")

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages; those of one queue all or none."""
        by_queue: dict[str, list[Any]] = {}
        for message in messages:
            fields = _fields(message)
            due = "" if message.due is None else ceil(message.due.timestamp() * 1000)
            known = "" if message.id is None else f"{self.prefix}:published:{message.id}"
            by_queue.setdefault(message.queue, []).extend((due, known, len(fields), *fields))
        for queue, encoded in by_queue.items():
            keys = [*self._keys(queue, "queue", "delayed", "timers"), *self._shared("queues")]
            keys += self._shared("sequence")
            arguments = [queue, self.queue_max, self._notifications.channel]
            arguments += [DEDUPE_SECONDS * 1000, *encoded]
            if not await self._connection.run("publish", keys, arguments):
                limit = self.queue_max
                raise Unavailable(f"redis: the queue {queue} holds {limit} messages, try later")

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these queues in order, those of one key one at a time."""
        while self._unregistered:
            # Otherwise their deliveries would wait until the lease expires.
            await self._deregister(self._unregistered.pop())
        consumer = Consumer(self._connection, self._notifications, self.prefix, self.lease, queues)
        self._consumers[consumer.name] = consumer
        try:
            async with aclosing(consumer.deliveries()) as incoming:
                async for delivery in incoming:
                    yield delivery
        finally:
            del self._consumers[consumer.name]
            with suppress(Unavailable):
                await self._deregister(consumer)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Delete a message."""
        await self._settle(delivery, "ack")

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds."""
        await self._settle(delivery, "nack", ceil(delay * 1000), _next_attempt(delivery))

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; the others of its key pass it."""
        await self._settle(delivery, "defer", ceil(delay * 1000), _next_attempt(delivery))

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message, with the reason, to the dead-letter stream of its queue."""
        await self._settle(delivery, "dead_letter", reason_text(reason), DEAD_LETTERS_MAX)

    def owns(self, delivery: EncodedDelivery) -> bool:
        """Return False if another process may have a delivery by now: its iteration has ended."""
        consumer = self._consumers.get(delivery.token.consumer)
        return consumer is not None and delivery.token.id in consumer.in_flight

    async def depth(self) -> Depth:
        """Count the messages."""
        queues = self._shared("queues")
        counts = await self._connection.run("depth", queues, [self.prefix, GROUP])
        ready, taken, delayed, timers = counts
        return Depth(ready=ready, taken=taken, delayed=delayed, timers=timers)

    async def close(self) -> None:
        """Close the connections; the caller closes its iterations first."""
        await self._notifications.close()
        await self.reports.close()
        await self._connection.close()

    async def _settle(self, delivery: EncodedDelivery, *how: Any) -> None:
        queue, token = delivery.message.queue, delivery.token
        assert isinstance(token, Token)
        keys = [*order_keys(self.prefix, queue), *self._keys(queue, "delayed")]
        keys += [*self._shared("sequence"), *self._keys(queue, "dead")]
        arguments = [queue, GROUP, token.consumer, token.id, token.times, token.key]
        consumer = self._consumers.get(token.consumer)
        arguments += [self._notifications.channel, int(consumer is not None), *how]
        dropped, *next_entry = await self._connection.run("settle", keys, arguments)
        if dropped > 0:
            extra = fields(queue=queue, number=dropped)
            logger.error("dead letters were dropped for newer ones", extra=extra)
        if consumer is not None:
            consumer.in_flight.pop(token.id, None)
            if next_entry:
                consumer.hand_over(queue, next_entry)

    async def _deregister(self, consumer: Consumer) -> None:
        try:
            await consumer.deregister()
        except Unavailable:
            self._unregistered.append(consumer)
            raise

    def _keys(self, queue: str, *kinds: str) -> list[str]:
        return [f"{self.prefix}:{kind}:{queue}" for kind in kinds]

    def _shared(self, *kinds: str) -> list[str]:
        return [f"{self.prefix}:{kind}" for kind in kinds]


def _next_attempt(delivery: EncodedDelivery) -> int:
    """Return the attempt of a new entry, whose deliveries the server counts anew."""
    return delivery.attempt - delivery.returns + 1


def _fields(message: EncodedMessage) -> list[str | bytes]:
    """Return a message as the fields and values of a stream entry."""
    fields: list[str | bytes] = [EVENT, message.body, ORDER, order_of(message)]
    for name, value in wire_headers(message).items():
        fields += (name, value)
    return fields
