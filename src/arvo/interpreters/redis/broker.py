"""Broker: Redis Streams as queues, one stream and one consumer group for each."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from math import ceil
from typing import Any, Final, TypeAlias, final
from uuid import uuid4

from attrs import define, field, frozen

from arvo.interpreters.delivery.headers import (
    decode_headers,
    reason_text,
    take_attempt,
    wire_headers,
)
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.results import Depth
from arvo.interpreters.redis.connection import Connection
from arvo.interpreters.redis.notifications import Notifications
from arvo.interpreters.redis.store import PREFIX

logger: Final = logging.getLogger("arvo")

GROUP: Final = "arvo"
# A consumer that has not renewed its lease for so long counts as dead. It is longer than any pause
# of a live process.
LEASE_SECONDS: Final = 30.0
# Messages of one queue, delayed ones included, above which it is full.
QUEUE_MAX: Final = 1_000_000
# Messages in the dead-letter stream of one queue; the oldest are dropped, and the log counts them.
DEAD_LETTERS_MAX: Final = 10_000
# How often a waiting consumer polls, in case a notification was lost.
POLL_SECONDS: Final = 1.0
# Delayed messages that one script call makes ready; the server runs no other command meanwhile.
DUE_BATCH_MAX: Final = 100
# The consumer that holds returned entries until another consumer takes them. The names of other
# consumers have no parentheses.
RETURNED: Final = "(returned)"
# The field of a stream entry that holds the event; the other fields are headers.
EVENT: Final = "event"


@final
@frozen
class _Token:
    """Identifies one delivery: of an entry, to a consumer, for the *times*-th time."""

    consumer: str
    id: bytes
    times: int


_Entry: TypeAlias = tuple[bytes, list[bytes], int]


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
    _connection: Connection = field(init=False)
    _notifications: Notifications = field(init=False)
    # By consumer of this process, the queue of each entry in flight.
    _in_flight: dict[str, dict[bytes, str]] = field(factory=dict, init=False)
    # Consumers that ended while the server was unavailable. The next iteration deregisters them.
    _unregistered: list[tuple[Sequence[str], str]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = Connection(self.url)
        self._notifications = Notifications(self._connection, f"{self.prefix}:notifications")

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages; those of one queue all or none."""
        by_queue: dict[str, list[Any]] = {}
        for message in messages:
            fields = _fields(message)
            due = "" if message.due is None else ceil(message.due.timestamp() * 1000)
            by_queue.setdefault(message.queue, []).extend((due, len(fields), *fields))
        for queue, encoded in by_queue.items():
            keys = [*self._keys(queue, "queue", "delayed", "timers"), *self._shared("queues")]
            keys += self._shared("sequence")
            arguments = [queue, self.queue_max, self._notifications.channel, *encoded]
            if not await self._connection.run("publish", keys, arguments):
                limit = self.queue_max
                raise Unavailable(f"redis: the queue {queue} holds {limit} messages, try later")

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver the messages of these queues, in the order in which they were published."""
        while self._unregistered:
            # Otherwise their deliveries would wait until the lease expires.
            await self._deregister(*self._unregistered.pop())
        consumer, woken = uuid4().hex, asyncio.Event()
        self._in_flight[consumer] = {}
        for queue in queues:
            self._notifications.subscribe(queue, woken)
        failures: list[Exception] = []

        def on_failure(error: Exception) -> None:
            failures.append(error)
            woken.set()

        self._notifications.on_failure.add(on_failure)
        renew = self._renew(queues, consumer)
        renewing = supervise(renew, name="arvo redis lease", on_failure=on_failure)
        taking: asyncio.Future[tuple[EncodedDelivery | None, float]] | None = None
        try:
            while True:
                woken.clear()
                if failures:
                    # Without renewals or notifications this iteration would lose its messages.
                    raise failures[0]
                # A call that is cancelled may have been applied, so the `finally` waits for it.
                taking = asyncio.ensure_future(self._take(queues, consumer))
                delivery, seconds = await asyncio.shield(taking)
                if delivery is not None:
                    yield delivery
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await woken.wait()
        finally:
            self._notifications.on_failure.discard(on_failure)
            renewing.cancel()
            await asyncio.gather(renewing, *([taking] if taking else []), return_exceptions=True)
            del self._in_flight[consumer]
            for queue in queues:
                self._notifications.unsubscribe(queue, woken)
            with suppress(Unavailable):
                await self._deregister(queues, consumer)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Delete a message."""
        await self._settle(delivery, "ack")

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds."""
        await self._settle(delivery, "nack", ceil(delay * 1000))

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message, with the reason, to the dead-letter stream of its queue."""
        await self._settle(delivery, "dead_letter", reason_text(reason), DEAD_LETTERS_MAX)

    async def depth(self) -> Depth:
        """Count the messages."""
        arguments = [self.prefix, GROUP, RETURNED]
        counts = await self._connection.run("depth", self._shared("queues"), arguments)
        ready, taken, delayed, timers = counts
        return Depth(ready=ready, taken=taken, delayed=delayed, timers=timers)

    async def close(self) -> None:
        """Close the connections; the caller closes its iterations first."""
        await self._notifications.close()
        await self._connection.close()

    async def _take(
        self, queues: Sequence[str], consumer: str
    ) -> tuple[EncodedDelivery | None, float]:
        """Take the next message; without one, return the seconds to wait."""
        wait = POLL_SECONDS
        for queue in queues:
            keys = [*self._keys(queue, "queue", "delayed", "timers"), *self._shared("queues")]
            arguments = [queue, GROUP, consumer, RETURNED, DUE_BATCH_MAX]
            answer = await self._connection.run("take", keys, arguments)
            if len(answer) > 1:
                delivery = _delivery(queue, consumer, tuple(answer))
                self._in_flight[consumer][delivery.token.id] = queue
                return delivery, 0.0
            if answer[0] >= 0:
                wait = min(wait, answer[0] / 1000)
        return None, wait

    async def _settle(self, delivery: EncodedDelivery, *how: Any) -> None:
        queue, token = delivery.message.queue, delivery.token
        assert isinstance(token, _Token)
        keys = [*self._keys(queue, "queue", "delayed"), *self._shared("sequence")]
        keys += self._keys(queue, "dead")
        channel = self._notifications.channel
        arguments = [queue, GROUP, token.consumer, token.id, token.times, channel, *how]
        dropped = await self._connection.run("settle", keys, arguments)
        if dropped > 0:
            logger.error("redis: %d dead letters of %s were dropped for newer ones", dropped, queue)
        self._in_flight.get(token.consumer, {}).pop(token.id, None)

    async def _renew(self, queues: Sequence[str], consumer: str) -> None:
        """Renew the lease of a consumer, and return the entries of expired consumers."""
        while True:
            for queue in queues:
                in_flight = self._in_flight[consumer].items()
                ids = [id_ for id_, its_queue in in_flight if its_queue == queue]
                arguments = [queue, GROUP, consumer, RETURNED, ceil(self.lease * 1000)]
                arguments += [self._notifications.channel, *ids]
                try:
                    await self._connection.run("renew", self._keys(queue, "queue"), arguments)
                except (Unavailable, Corrupt) as error:
                    logger.warning("redis: a lease could not be renewed: %s", error)
            await asyncio.sleep(self.lease / 3)

    async def _deregister(self, queues: Sequence[str], consumer: str) -> None:
        """Return the entries that a consumer has in flight, and delete the consumer."""
        try:
            for queue in queues:
                arguments = [queue, GROUP, consumer, RETURNED, self._notifications.channel]
                await self._connection.run("leave", self._keys(queue, "queue"), arguments)
        except Unavailable:
            self._unregistered.append((queues, consumer))
            raise

    def _keys(self, queue: str, *kinds: str) -> list[str]:
        return [f"{self.prefix}:{kind}:{queue}" for kind in kinds]

    def _shared(self, *kinds: str) -> list[str]:
        return [f"{self.prefix}:{kind}" for kind in kinds]


def _fields(message: EncodedMessage) -> list[str | bytes]:
    """Return a message as the fields and values of a stream entry."""
    fields: list[str | bytes] = [EVENT, message.body]
    for name, value in wire_headers(message).items():
        fields += (name, value)
    return fields


def _delivery(queue: str, consumer: str, entry: _Entry) -> EncodedDelivery:
    """Make a delivery of a stream entry; other programs may have written any fields."""
    id_, fields, times = entry
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    body = values.pop(EVENT.encode(), b"")
    headers = decode_headers({name.decode(errors="replace"): v for name, v in values.items()})
    attempt = take_attempt(headers)
    token = _Token(consumer, id_, times)
    return EncodedDelivery(EncodedMessage(queue, body, headers), attempt, token)
