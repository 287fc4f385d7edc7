"""Consumer: one iteration of the broker: it takes entries, and keeps their lease."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from math import ceil
from typing import Any, Final, final
from uuid import uuid4

from attrs import define, field, frozen

from arvo.interpreters.delivery.brokers.headers import ORDER, decode_headers, take_attempt
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.redis.connection import Connection
from arvo.interpreters.redis.notifications import Notifications

logger: Final = get_logger("redis")

GROUP: Final = "arvo"
# How often a waiting consumer polls, in case a notification was lost.
POLL_SECONDS: Final = 1.0
# Entries that one script call moves; the server runs no other command meanwhile.
MOVED_MAX: Final = 100
# The field of a stream entry that holds the event. The other fields are headers.
EVENT: Final = "event"


@final
@frozen
class Token:
    """Identifies one delivery: of an entry, to a consumer, for the *times*-th time.

    *key*: the entry's ordering key as the scripts have it, empty for none.
    """

    consumer: str
    id: bytes
    times: int
    key: bytes


def order_keys(prefix: str, queue: str) -> list[str]:
    """Return the keys of the server that every script on the entries of a queue gets first."""
    kinds = ("queue", "busy", "waiting", "nacked", "nacks")
    return [f"{prefix}:{kind}:{queue}" for kind in kinds]


@final
@define(eq=False)
class Consumer:
    """A consumer of the group of some queues. *lease*: see `RedisBroker`."""

    connection: Connection
    notifications: Notifications
    prefix: str
    lease: float
    queues: Sequence[str]
    name: str = field(factory=lambda: uuid4().hex, init=False)
    # The queue of each entry in flight.
    in_flight: dict[bytes, str] = field(factory=dict, init=False)
    # Deliveries that followed from settling others.
    _handed_over: deque[EncodedDelivery] = field(factory=deque, init=False)
    _woken: asyncio.Event = field(factory=asyncio.Event, init=False)
    _failures: list[Exception] = field(factory=list, init=False)

    async def deliveries(self) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver entries; the caller closes the generator, and then deregisters the consumer."""
        for queue in self.queues:
            self.notifications.subscribe(queue, self._woken)
        self.notifications.on_failure.add(self._fail)
        renewing = supervise(self._renew(), name="arvo redis lease", on_failure=self._fail)
        taking: asyncio.Future[float] | None = None
        try:
            while True:
                self._woken.clear()
                if self._failures:
                    # Without renewals or notifications this iteration would lose its messages.
                    raise self._failures[0]
                if self._handed_over:
                    yield self._handed_over.popleft()
                    continue
                # A call that is cancelled may have been applied, so the `finally` waits for it.
                taking = asyncio.ensure_future(self._take())
                seconds = await asyncio.shield(taking)
                if not self._handed_over:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds):
                            await self._woken.wait()
        finally:
            self.notifications.on_failure.discard(self._fail)
            renewing.cancel()
            await asyncio.gather(renewing, *([taking] if taking else []), return_exceptions=True)
            self.in_flight.clear()
            for queue in self.queues:
                self.notifications.unsubscribe(queue, self._woken)

    def hand_over(self, queue: str, entry: Sequence[Any]) -> None:
        """Deliver an entry that a script has given to this consumer."""
        delivery = _delivery(queue, self.name, entry)
        self.in_flight[delivery.token.id] = queue
        self._handed_over.append(delivery)
        self._woken.set()

    async def deregister(self) -> None:
        """Return the entries in flight, and delete the consumer."""
        for queue in self.queues:
            await self._run("leave", queue, [], [self.notifications.channel])

    async def _take(self) -> float:
        """Take the next entry; without one, return the seconds to wait."""
        wait = POLL_SECONDS
        for queue in self.queues:
            kinds = ("delayed", "timers")
            keys = [*(f"{self.prefix}:{kind}:{queue}" for kind in kinds), f"{self.prefix}:queues"]
            answer = await self._run("take", queue, keys, [MOVED_MAX])
            if len(answer) > 1:
                self.hand_over(queue, answer)
                return 0.0
            if answer[0] >= 0:
                wait = min(wait, answer[0] / 1000)
        return wait

    async def _renew(self) -> None:
        """Renew the lease of this consumer, and return the entries of expired ones."""
        while True:
            for queue in self.queues:
                ids = [id_ for id_, its_queue in self.in_flight.items() if its_queue == queue]
                arguments = [ceil(self.lease * 1000), self.notifications.channel, *ids]
                try:
                    await self._run("renew", queue, [], arguments)
                except (Unavailable, Corrupt) as error:
                    extra = fields(queue=queue, reason=error)
                    logger.warning("a lease could not be renewed", extra=extra)
            await asyncio.sleep(self.lease / 3)

    async def _run(
        self, script: str, queue: str, keys: Sequence[str], arguments: Sequence[Any]
    ) -> Any:
        all_keys = [*order_keys(self.prefix, queue), *keys]
        return await self.connection.run(script, all_keys, [queue, GROUP, self.name, *arguments])

    def _fail(self, error: Exception) -> None:
        self._failures.append(error)
        self._woken.set()


def _delivery(queue: str, consumer: str, entry: Sequence[Any]) -> EncodedDelivery:
    """Make a delivery of a stream entry; other programs may have written any fields."""
    id_, fields, times, nacks, key = entry
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    body = values.pop(EVENT.encode(), b"")
    values.pop(ORDER.encode(), None)
    headers = decode_headers({name.decode(errors="replace"): v for name, v in values.items()})
    attempt, token = take_attempt(headers) + times - 1, Token(consumer, id_, times, key)
    returns = max(0, times - 1 - nacks)
    return EncodedDelivery(EncodedMessage(queue, body, headers), attempt, token, returns)
