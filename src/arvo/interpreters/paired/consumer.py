"""Consumer: pulls deliveries from a broker into the queues of this process, and decodes them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, final

from attrs import define, evolve, field

from arvo.interpreters.delivery.log import LineLimit, fields, get_logger
from arvo.interpreters.delivery.queues import InProcessQueues
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.paired.deaths import DeathCounter
from arvo.interpreters.paired.documents.codec import Unreadable
from arvo.interpreters.paired.releases import ReleaseCounts
from arvo.interpreters.ports.broker import (
    Broker,
    DefersDeliveries,
    EncodedDelivery,
    OwnsDeliveries,
    PassesDeliveries,
    ReportsDepth,
)
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Progress, key_of, queue_of
from arvo.interpreters.ports.results import Depth

logger: Final = get_logger("pair")

# Unsettled deliveries of one queue in this process, most of which wait for their key: beyond that,
# one busy workflow would fill the memory of every process.
UNSETTLED_MAX: Final = 1_000
# The pause before a broker that was unavailable is tried again.
PAUSE_SECONDS: Final = 0.1
# A broker that cannot count its messages, and states no time of its own, is assumed to be empty
# after so long without a delivery.
QUIET_SECONDS: Final = 0.1


@final
@define(eq=False)
class BrokerConsumer:
    """One task for each queue that is served. It asks the broker for the next delivery only when a
    worker has room for one.

    *on_unreadable* stores a delivery that cannot be decoded, with the reason, as a dead letter.
    *deaths* and *releases* correct the attempt of a delivery.
    """

    broker: Broker
    decode: Callable[[EncodedDelivery], Delivery]
    on_unreadable: Callable[[EncodedDelivery, str], Awaitable[None]]
    deaths: DeathCounter
    releases: ReleaseCounts
    pause_seconds: float = PAUSE_SECONDS
    queues: InProcessQueues = field(factory=InProcessQueues, init=False)
    _owning: OwnsDeliveries | None = field(init=False)
    _loops: dict[str, "asyncio.Task[None]"] = field(factory=dict, init=False)
    _capacity: dict[str, asyncio.Event] = field(factory=dict, init=False)
    _unsettled: Counter[str] = field(factory=Counter, init=False)
    # The loops of all queues meet the same outage.
    _outage: LineLimit = field(factory=LineLimit, init=False)
    # The time of the loop's clock at which the broker is assumed to be empty.
    _quiet_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        # Checked once: `isinstance` with a protocol is slow.
        self._owning = self.broker if isinstance(self.broker, OwnsDeliveries) else None

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue whose key is free."""
        self._consume_more(queue)
        return await self.queues.receive(queue)

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* with each delivery of *queues*, until `queues.unsubscribe`."""
        self.queues.subscribe(queues, on_ready)
        for queue in queues:
            self._consume_more(queue)

    def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Return deliveries of *queues* whose keys are free, as many as each has room for."""
        taken = self.queues.poll(queues, limit)
        for queue, room in queues.items():
            if room:
                self._consume_more(queue)
        return taken

    def release(self, delivery: Delivery, *, delay: float = 0.0) -> None:
        """Forget a settled delivery, which the broker may redeliver after *delay* seconds."""
        self.queues.release(delivery)
        queue = queue_of(delivery.message.to)
        self._unsettled[queue] -= 1
        self.expect_activity(delay)
        if queue in self._capacity:
            self._capacity[queue].set()

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Redeliver after *delay* seconds, before the others of its key.

        A broker that does not keep the order of a key would deliver those first. So the delivery
        stays here, unsettled at the broker; its attempts begin again if the process dies.
        """
        if isinstance(self.broker, DefersDeliveries) or key_of(delivery.message.to) is None:
            await self._return(delivery, delay, self.broker.nack)
        else:
            await self.deaths.on_nack(delivery, is_returned=False)
            self._postpone(delivery, delivery.retried, delay)

    async def hand_back(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery for another process, after *delay* seconds, as the same attempt.

        To the broker, also where it does not keep the order of a key: it is of no use here.
        """
        # First: a crash after it leaves the message an attempt too many, not one too few.
        try:
            await self.releases.add(delivery.message)
        except Unavailable:
            self._postpone(delivery, delivery, delay)
            raise
        broker = self.broker
        change = broker.pass_on if isinstance(broker, PassesDeliveries) else broker.nack
        await self._return(delivery, delay, change)

    def is_lost(self, delivery: Delivery) -> bool:
        """Return True if the broker may have given a delivery to another process."""
        owning = self._owning
        return owning is not None and not owning.owns(token_of(delivery))

    async def forget(self, delivery: Delivery) -> None:
        """Forget a delivery that another process has."""
        self.release(delivery)
        await self.deaths.on_nack(delivery, is_returned=False)

    def put_off(self, delivery: Delivery, delay: float) -> None:
        """Redeliver after *delay* seconds as the same attempt, which reads the checkpoint anew."""
        self._postpone(delivery, evolve(delivery, progress=Progress()), delay)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Redeliver after *delay* seconds; the others of its key pass it."""
        broker = self.broker
        change = broker.defer if isinstance(broker, DefersDeliveries) else broker.nack
        await self._return(delivery, delay, change)

    def expect_activity(self, delay: float = 0.0) -> None:
        """Expect another delivery, now or *delay* seconds later."""
        seconds = getattr(self.broker, "quiet_seconds", QUIET_SECONDS)
        quiet_at = asyncio.get_running_loop().time() + delay + seconds
        self._quiet_at = max(self._quiet_at, quiet_at)

    async def depth(self) -> Depth:
        """Count the messages; for a broker that cannot count, only those in this process."""
        # Those that no worker has received yet.
        waiting = self._unsettled.total() - len(self.queues.taken)
        if isinstance(self.broker, ReportsDepth):
            depth = await self.broker.depth()
            return evolve(depth, ready=depth.ready + waiting, taken=max(0, depth.taken - waiting))
        return Depth(ready=waiting, taken=len(self.queues.taken))

    async def is_busy(self) -> bool:
        """Return whether a message is under way.

        A broker that cannot count has none if this process has none, and received none for a while.
        """
        if isinstance(self.broker, ReportsDepth):
            return bool((await self.broker.depth()).total)
        if getattr(self.broker, "is_opening", False):
            # It has not been asked for its messages yet.
            self.expect_activity()
            return True
        is_quiet = asyncio.get_running_loop().time() >= self._quiet_at
        return bool(self._unsettled.total()) or not is_quiet

    async def close(self) -> None:
        """End the iterations; the broker redelivers the unsettled messages."""
        loops = list(self._loops.values())
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        self.queues.cancel_delays()
        self._loops.clear()
        self._capacity.clear()
        self._unsettled.clear()
        self.queues = InProcessQueues()

    async def _return(
        self,
        delivery: Delivery,
        delay: float,
        change: Callable[[EncodedDelivery, float], Awaitable[None]],
    ) -> None:
        """Return a delivery to the broker; redeliver it from here if that is unavailable."""
        await self.deaths.on_nack(delivery)
        try:
            await change(token_of(delivery), delay)
        except Unavailable:
            self._postpone(delivery, delivery, delay)
            raise
        self.release(delivery, delay=delay)

    def _postpone(self, delivery: Delivery, retried: Delivery, delay: float) -> None:
        """Redeliver a delivery from here as *retried*; it stays ours, and so does its key."""
        self.expect_activity(delay)
        self.queues.postpone(delivery, retried, delay)

    def _consume_more(self, queue: str) -> None:
        """Ask the broker for deliveries of a queue; raises the error that has ended its task."""
        loop = self._loops.get(queue)
        if loop is None:
            self._capacity[queue] = asyncio.Event()
            # Workers that wait now get a failure from the queues, later ones here.
            self._loops[queue] = supervise(
                self._consume_loop(queue),
                name=f"arvo consumer {queue}",
                on_failure=self.queues.fail,
            )
        elif loop.done() and not loop.cancelled() and (error := loop.exception()) is not None:
            raise error
        self._capacity[queue].set()

    async def _consume_loop(self, queue: str) -> None:
        """Consume a queue until `close`, through lost connections."""
        while True:
            try:
                await self._consume(queue)
            except Unavailable as error:
                self.expect_activity()
                if self._outage.is_due():
                    extra = fields(queue=queue, reason=error, unlogged=self._outage.unlogged)
                    logger.warning("the broker is unavailable, trying again", extra=extra)
            await asyncio.sleep(self.pause_seconds)

    async def _consume(self, queue: str) -> None:
        incoming, capacity = self.broker.deliveries([queue]), self._capacity[queue]
        try:
            async for encoded in incoming:
                self.expect_activity()
                delivery = await self._decode(encoded)
                if delivery is None:
                    continue
                self._unsettled[queue] += 1
                has_waiter = self.queues.is_starving(queue)
                self.queues.put(delivery)
                if has_waiter:
                    # The worker that was woken must look first: if the key is busy, it waits on.
                    await asyncio.sleep(0)
                while not self.queues.wants(queue) or self._unsettled[queue] >= UNSETTLED_MAX:
                    capacity.clear()
                    await capacity.wait()
        finally:
            # Now, not at garbage collection: other consumers wait for the messages of this one.
            if (close := getattr(incoming, "aclose", None)) is not None:
                await close()

    async def _decode(self, encoded: EncodedDelivery) -> Delivery | None:
        """Decode a delivery. One that is unreadable would be redelivered for ever, so it becomes a
        dead letter, and then the broker settles it.
        """
        try:
            delivery = self.decode(encoded)
        except Unreadable as error:
            await self.on_unreadable(encoded, str(error))
            await self.broker.dead_letter(encoded, str(error))
            return None
        return await self.releases.without(await self.deaths.count(delivery))


def token_of(delivery: Delivery) -> EncodedDelivery:
    """Return the delivery of the broker."""
    assert isinstance(delivery.token, EncodedDelivery)
    return delivery.token
