"""Queue depth: counts messages, and purges settled ones that a crash of the server left behind."""

import asyncio
from typing import Final, final

from attrs import define, field

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.nats.connection import Content
from arvo.interpreters.nats.streams import WAITING, Streams
from arvo.interpreters.ports.results import Depth

logger: Final = get_logger("nats")

# The pause between two searches for settled messages, however often the depth is requested.
PURGE_SECONDS: Final = 1.0


@final
@define(eq=False)
class DepthCounter:
    """Counts the messages in the streams of one prefix."""

    streams: Streams
    _purged_at: float = field(default=0.0, init=False)

    async def count(self) -> Depth:
        """Count the messages; delayed ones count as taken."""
        # In this order, because a timer that becomes due moves to the second stream: it may be
        # counted twice, but must not be missed.
        in_timers, timers_taken, waiting = await self._count_stream(self.streams.timers)
        in_queue, queue_taken, _ = await self._count_stream(self.streams.queue)
        total = max(0, in_timers - waiting) + in_queue
        taken = min(timers_taken + queue_taken, total)
        return Depth(ready=total - taken, taken=taken, timers=waiting)

    async def _count_stream(self, stream: str) -> tuple[int, int, int]:
        """Return the numbers of a stream's messages, of those delivered, and of timers not due."""
        messages = await self._count_messages(stream)
        if not messages:
            return 0, 0, 0
        consumers = await self._consumers(stream)
        waiting = sum(info["num_pending"] for info in consumers if info["name"] == WAITING)
        consumers = [info for info in consumers if info["name"] != WAITING]
        taken = sum(info["num_ack_pending"] for info in consumers)
        ready = sum(info["num_pending"] for info in consumers)
        if (
            messages > waiting
            and not taken + ready
            and await self._purge_settled(stream, consumers)
        ):
            return await self._count_stream(stream)
        return messages, taken, waiting

    async def _purge_settled(self, stream: str, consumers: list[Content]) -> int:
        """Delete settled messages that are still stored, and return their number.

        A server that is killed may remember an ack and forget the deletion that followed from it.
        No consumer would receive such a message, and it would count as under way for ever.
        """
        now = asyncio.get_running_loop().time()
        if now < self._purged_at + PURGE_SECONDS:
            return 0
        self._purged_at, purged = now, 0
        for info in consumers:
            subject, floor = info["config"]["filter_subject"], info["ack_floor"]["stream_seq"]
            # All messages up to the floor are settled, and a consumer never goes back.
            number = await self.streams.purge(stream, subject, floor)
            if number:
                extra = fields(queue=subject, number=number)
                logger.info("settled messages were purged", extra=extra)
            purged += number
        return purged

    async def _count_messages(self, stream: str) -> int:
        info = await self.streams.connection.call_api(f"STREAM.INFO.{stream}")
        return int(info["state"]["messages"])

    async def _consumers(self, stream: str) -> list[Content]:
        consumers: list[Content] = []
        while True:
            request = {"offset": len(consumers)}
            page = await self.streams.connection.call_api(f"CONSUMER.LIST.{stream}", request)
            consumers += page["consumers"]
            if len(consumers) >= page["total"] or not page["consumers"]:
                return consumers
