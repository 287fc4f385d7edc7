"""Intake: pulls deliveries out of a broker, into the lanes of this process."""

import asyncio
import logging
from collections import Counter
from typing import Final, final

from attrs import define, field

from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.delivery.queues import Lanes
from arvo.interpreters.ports.backend import (
    OUTBOUND_QUEUE,
    REPLY_QUEUE,
    Delivery,
    Destination,
    Message,
    Unavailable,
    queue_of,
)
from arvo.interpreters.ports.broker import Broker, EncodedDelivery, EncodedMessage

logger: Final = logging.getLogger("arvo")

# Deliveries of one lane that may be here and not settled, most of which wait for their key: past
# that, one busy workflow would fill the memory of every process.
HERE_MAX: Final = 1_000
# How long a broker that is gone is left alone.
PAUSE_SECONDS: Final = 0.1
# A broker that cannot count is at rest when nothing has come for so long, if it says nothing else.
QUIET_SECONDS: Final = 0.1


@final
@define(eq=False)
class Intake:
    """One task for each lane that is served: it asks the broker for the next delivery when somebody
    waits for one.
    """

    broker: Broker
    pause: float = PAUSE_SECONDS
    lanes: Lanes = field(factory=Lanes, init=False)
    _pumps: dict[str, "asyncio.Task[None]"] = field(factory=dict, init=False)
    _wanted: dict[str, asyncio.Event] = field(factory=dict, init=False)
    _here: Counter[str] = field(factory=Counter, init=False)
    # When it becomes likely that nothing more will come.
    _quiet: float = field(default=0.0, init=False)

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody works on."""
        pump = self._pumps.get(queue)
        if pump is None:
            self._wanted[queue] = asyncio.Event()
            task = asyncio.create_task(self._pump(queue), name=f"arvo intake {queue}")
            self._pumps[queue] = task
        elif pump.done() and not pump.cancelled() and (error := pump.exception()) is not None:
            raise error
        self._wanted[queue].set()
        return await self.lanes.receive(queue)

    def settle(self, delivery: Delivery, *, delay: float = 0.0) -> None:
        """Let go of a delivery; it may come again after *delay* seconds."""
        self.lanes.settle(delivery)
        queue = queue_of(delivery.message.to)
        self._here[queue] -= 1
        self.stirred(delay)
        if queue in self._wanted:
            self._wanted[queue].set()

    def keep(self, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again that could not be settled; to the broker it is ours still."""
        self.lanes.settle(delivery)
        self.stirred(delay)
        self.lanes.put_later(delivery, delay)

    def stirred(self, delay: float = 0.0) -> None:
        """Expect something to come, in the next moment or *delay* seconds later."""
        seconds = getattr(self.broker, "quiet_seconds", QUIET_SECONDS)
        quiet = asyncio.get_running_loop().time() + delay + seconds
        self._quiet = max(self._quiet, quiet)

    @property
    def waiting(self) -> int:
        """How many deliveries are here and in nobody's hands."""
        return self._here.total() - len(self.lanes.taken)

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing is here, and nothing has come for a while."""
        return not self._here.total() and asyncio.get_running_loop().time() >= self._quiet

    async def close(self) -> None:
        """Stop asking; the broker hands out again what is not settled."""
        pumps = list(self._pumps.values())
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self.lanes.stop_clocks()
        self._pumps.clear()
        self._wanted.clear()
        self._here.clear()
        self.lanes = Lanes()

    async def _pump(self, queue: str) -> None:
        """Bring deliveries until the end, whatever becomes of the connection."""
        try:
            while True:
                try:
                    await self._bring(queue)
                except Unavailable as error:
                    logger.warning("the broker is unavailable, trying again: %s", error)
                await asyncio.sleep(self.pause)
        except Exception as error:
            # Those who wait now hear of it here, those who come later in `receive`.
            self.lanes.fail(error)
            raise

    async def _bring(self, queue: str) -> None:
        incoming, wanted = self.broker.deliveries([queue]), self._wanted[queue]
        try:
            async for delivery in incoming:
                self._here[queue] += 1
                self.stirred()
                self.lanes.put(_delivery(delivery))
                # Let whoever was woken look at it first: if its key is busy, they go on waiting.
                await asyncio.sleep(0)
                while not self.lanes.is_hungry(queue) or self._here[queue] >= HERE_MAX:
                    wanted.clear()
                    await wanted.wait()
        finally:
            # Now and not when it is collected: others wait for what this iteration leaves behind.
            if (close := getattr(incoming, "aclose", None)) is not None:
                await close()


def message_of(message: Message) -> EncodedMessage:
    """Say a post as a message."""
    match message.to:
        case ToHandler(key=key):
            return EncodedMessage(queue_of(message.to), message.event, key)
        case ToDomain(domain=name) | ToCaller(address=name):
            return EncodedMessage(queue_of(message.to), message.event, name)


def _delivery(delivery: EncodedDelivery) -> Delivery:
    message = Message(delivery.message.event, reachable(delivery.message))
    return Delivery(message, delivery.attempt, delivery)


def reachable(message: EncodedMessage) -> Destination:
    """Say where a message goes."""
    match message.address:
        case str(address) if address == OUTBOUND_QUEUE:
            return ToDomain(message.key or "")
        case str(address) if address == REPLY_QUEUE:
            return ToCaller(message.key or "")
        case address:
            return ToHandler(address, message.key)
