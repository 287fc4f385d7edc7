"""Broker: Redis Streams as queues, one for each address, with a group of consumers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from math import ceil
from typing import Any, Final, TypeAlias, final
from uuid import uuid4

from attrs import define, field, frozen

from arvo.interpreters.delivery.headers import Parcel, Unreadable, packed, unpacked
from arvo.interpreters.ports.backend import Corrupt, Depth, Unavailable
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.redis.client import Client
from arvo.interpreters.redis.notifications import News
from arvo.interpreters.redis.store import PREFIX

logger: Final = logging.getLogger("arvo")

GROUP: Final = "arvo"
# After this, who says nothing is dead: longer than any pause of a process that lives.
LEASE_SECONDS: Final = 30.0
# Messages of one queue, those that wait for their time included, before it is full.
QUEUE_MAX: Final = 1_000_000
# Messages of one queue that are kept for the dead; the oldest make way, in the log.
DEAD_MAX: Final = 10_000
# How often who waits looks by itself, should news not have come.
LOOK_SECONDS: Final = 1.0
# Delayed messages that are made ready in one step, during which the server does nothing else.
RIPE_MAX: Final = 100
# The consumer that keeps what was given back; no consumer of ours has parentheses.
BACK: Final = "(back)"
# The field of a stream's entry that holds the event.
EVENT: Final = "event"


@final
@frozen
class _Token:
    """What names one handing out: the *times*-th of an entry, to a consumer."""

    consumer: str
    id: bytes
    times: int


_Entry: TypeAlias = tuple[bytes, list[bytes], int]


@final
@define(eq=False)
class RedisBroker:
    """Messages in Redis Streams, opened at first use.

    *url*: `redis://host:6379/0`, `rediss://…` with TLS. *prefix*: what its keys begin with; two
    that share it share what they hold. *lease*: seconds after which a process that says nothing
    counts as dead, and others are handed what it had. *queue_max*: messages of one address, delayed
    ones included, before `publish` raises `Unavailable`.

    An entry of the stream `{prefix}:queue:{address}` has the CloudEvent in the field `event`, and
    other programs may add such. What nobody could take is in `{prefix}:dead:{address}`. What
    survives is said at `RedisMemory`.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    lease: float = LEASE_SECONDS
    queue_max: int = QUEUE_MAX
    _client: Client = field(init=False)
    _news: News = field(init=False)
    # What each consumer of ours has in hand, by address.
    _hands: dict[str, dict[bytes, str]] = field(factory=dict, init=False)
    # Consumers that went while the server was gone: one for each iteration that was under way then,
    # for the next must see them off first.
    _unleft: list[tuple[Sequence[str], str]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._client = Client(self.url)
        self._news = News(self._client, f"{self.prefix}:news")

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Take messages, those of one address all or nothing."""
        by_address: dict[str, list[Any]] = {}
        for message in messages:
            fields = _fields(packed(message))
            due = "" if message.due is None else ceil(message.due.timestamp() * 1000)
            said = by_address.setdefault(message.address, [])
            said += (due, len(fields), *fields)
        for address, said in by_address.items():
            keys = [*self._keys(address, "queue", "delayed", "timers"), *self._shared("queues")]
            keys += self._shared("sequence")
            arguments = [address, self.queue_max, self._news.channel, *said]
            if not await self._client.run("publish", keys, arguments):
                raise Unavailable(f"redis: {address} holds {self.queue_max} messages, try later")

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        """Hand out the messages of these queues, in the order they came."""
        while self._unleft:
            # What they had would wait for the end of their lease.
            await self._leave(*self._unleft.pop())
        consumer, woken = uuid4().hex, asyncio.Event()
        hand = self._hands.setdefault(consumer, {})
        for address in addresses:
            self._news.listen(address, woken)
        keeper = asyncio.create_task(self._keep(addresses, consumer), name="arvo redis lease")
        taking: asyncio.Future[tuple[EncodedDelivery | None, float]] | None = None
        try:
            while True:
                woken.clear()
                # A call that is given up may have been carried out: it is waited for, below.
                taking = asyncio.ensure_future(self._next(addresses, consumer))
                delivery, wait = await asyncio.shield(taking)
                if delivery is not None:
                    yield delivery
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await woken.wait()
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, *([taking] if taking else []), return_exceptions=True)
            hand.clear()
            del self._hands[consumer]
            for address in addresses:
                self._news.leave(address, woken)
            with suppress(Unavailable):
                await self._leave(addresses, consumer)

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Forget a message."""
        await self._settle(delivery.message.address, delivery.token, "done")

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Hand a message out again after *delay* seconds."""
        milliseconds = ceil(delay * 1000)
        await self._settle(delivery.message.address, delivery.token, "again", milliseconds)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Move a message to the stream of the dead, with its reason."""
        await self._settle(delivery.message.address, delivery.token, "dead", reason, DEAD_MAX)

    async def depth(self) -> Depth:
        """Say how much is under way."""
        found = await self._client.run("depth", self._shared("queues"), [self.prefix, GROUP, BACK])
        ready, taken, delayed, timers = found
        return Depth(ready=ready, taken=taken, delayed=delayed, timers=timers)

    async def close(self) -> None:
        """Let go of the connections; iterations are the caller's to close first."""
        await self._news.close()
        await self._client.close()

    async def _next(
        self, addresses: Sequence[str], consumer: str
    ) -> tuple[EncodedDelivery | None, float]:
        """Take the next message, or say how long there is none."""
        wait = LOOK_SECONDS
        for address in addresses:
            keys = [*self._keys(address, "queue", "delayed", "timers"), *self._shared("queues")]
            while True:
                found = await self._client.run(
                    "take", keys, [address, GROUP, consumer, BACK, RIPE_MAX]
                )
                if len(found) == 1:
                    wait = min(wait, found[0] / 1000) if found[0] >= 0 else wait
                    break
                delivery = await self._read(address, consumer, tuple(found))
                if delivery is not None:
                    self._hands[consumer][delivery.token.id] = address
                    return delivery, 0.0
        return None, wait

    async def _read(self, address: str, consumer: str, entry: _Entry) -> EncodedDelivery | None:
        """Read an entry; one that is no message is put aside."""
        id_, fields, times = entry
        token = _Token(consumer, id_, times)
        try:
            said = dict(zip(fields[::2], fields[1::2], strict=True))
            headers = {
                name.decode(): value.decode()
                for name, value in said.items()
                if name.startswith(b"arvo-")
            }
            return unpacked(address, said.get(EVENT.encode(), b""), headers, token)
        except ValueError as error:
            reason = str(error) if isinstance(error, Unreadable) else f"fields: {error}"
            logger.error("redis: %r of %s is put aside: %s", id_.decode(), address, reason)  # noqa: TRY400 - what came is at fault
            await self._settle(address, token, "dead", reason, DEAD_MAX)
            return None

    async def _settle(self, address: str, token: Any, *how: Any) -> None:
        assert isinstance(token, _Token)
        keys = [*self._keys(address, "queue", "delayed"), *self._shared("sequence")]
        keys += self._keys(address, "dead")
        arguments = [address, GROUP, token.consumer, token.id, token.times, self._news.channel]
        lost = await self._client.run("settle", keys, [*arguments, *how])
        if lost > 0:
            logger.error("redis: %d of the dead of %s made way for newer ones", lost, address)
        self._hands.get(token.consumer, {}).pop(token.id, None)

    async def _keep(self, addresses: Sequence[str], consumer: str) -> None:
        """Say again and again that a consumer lives, and look for those that do not."""
        while True:
            for address in addresses:
                mine = [id_ for id_, at in self._hands[consumer].items() if at == address]
                arguments = [address, GROUP, consumer, BACK, ceil(self.lease * 1000)]
                try:
                    await self._client.run(
                        "renew",
                        self._keys(address, "queue"),
                        [*arguments, self._news.channel, *mine],
                    )
                except (Unavailable, Corrupt) as error:
                    logger.warning("redis: a lease could not be renewed: %s", error)
            await asyncio.sleep(self.lease / 3)

    async def _leave(self, addresses: Sequence[str], consumer: str) -> None:
        """Give back what a consumer has in hand."""
        try:
            for address in addresses:
                arguments = [address, GROUP, consumer, BACK, self._news.channel]
                await self._client.run("leave", self._keys(address, "queue"), arguments)
        except Unavailable:
            self._unleft.append((addresses, consumer))
            raise

    def _keys(self, address: str, *kinds: str) -> list[str]:
        return [f"{self.prefix}:{kind}:{address}" for kind in kinds]

    def _shared(self, *kinds: str) -> list[str]:
        return [f"{self.prefix}:{kind}" for kind in kinds]


def _fields(parcel: Parcel) -> list[str | bytes]:
    """Say a parcel as fields and values of a stream's entry."""
    pairs: Iterable[tuple[str, str | bytes]] = [(EVENT, parcel.body), *parcel.headers.items()]
    return [each for pair in pairs for each in pair]
