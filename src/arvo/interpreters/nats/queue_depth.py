"""Queue depth: counts messages, and purges settled ones that a crash of the server left behind."""

import asyncio
from typing import Final, final

from attrs import define, field, frozen

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.nats.connection.connection import Content
from arvo.interpreters.nats.streams import Streams
from arvo.interpreters.ports.results import Depth

logger: Final = get_logger("nats")

# The pause between two searches for settled messages, however often the depth is requested.
PURGE_SECONDS: Final = 1.0
# Counts of none that are made again, because timers were set or became due meanwhile.
COUNTS_MAX: Final = 20


@final
@frozen
class _Stored:
    """What a stream stores: the numbers of messages that are *under_way*, and of timers that are
    *waiting* until they are due, and *last*, the sequence of the newest message that it ever had.
    """

    under_way: int
    waiting: int
    last: int


@final
@define(eq=False)
class DepthCounter:
    """Counts the messages in the streams of one prefix."""

    streams: Streams
    _purged_at: float = field(default=0.0, init=False)

    async def count(self) -> Depth:
        """Count the messages; delayed ones count as taken.

        Nothing is under way only if both streams are empty at one moment, but the end of a message
        in one of them may follow a new message in the other. So the stream of the timers is counted
        first, and a sum of zero holds if it has stored nothing until the queue was counted.
        """
        for _ in range(COUNTS_MAX):
            timers, timers_taken = await self._count_stream(self.streams.timers)
            queue, queue_taken = await self._count_stream(self.streams.queue)
            total = timers.under_way + queue.under_way
            if total or (await self._stored(self.streams.timers)).last == timers.last:
                break
        taken = min(timers_taken + queue_taken, total)
        return Depth(ready=total - taken, taken=taken, timers=timers.waiting)

    async def _count_stream(self, stream: str) -> tuple[_Stored, int]:
        """Return what a stream stores, and the number of messages that are delivered."""
        stored = await self._stored(stream)
        if not stored.under_way:
            return stored, 0
        consumers = await self._consumers(stream)
        taken = sum(info["num_ack_pending"] for info in consumers)
        ready = sum(info["num_pending"] for info in consumers)
        if not taken + ready and await self._purge_settled(stream, consumers):
            return await self._count_stream(stream)
        return stored, taken

    async def _stored(self, stream: str) -> _Stored:
        # The server counts the due timers. The difference of two of its numbers would be wrong if a
        # timer was set or became due in between.
        request = {"subjects_filter": f"{self.streams.due}.>"}
        info = await self.streams.connection.call_api(f"STREAM.INFO.{stream}", request)
        state = info["state"]
        number = int(state["messages"])
        if stream == self.streams.timers:
            due = sum((state.get("subjects") or {}).values())
            return _Stored(due, max(0, number - due), state["last_seq"])
        return _Stored(number, 0, state["last_seq"])

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

    async def _consumers(self, stream: str) -> list[Content]:
        consumers: list[Content] = []
        while True:
            request = {"offset": len(consumers)}
            page = await self.streams.connection.call_api(f"CONSUMER.LIST.{stream}", request)
            consumers += page["consumers"]
            if len(consumers) >= page["total"] or not page["consumers"]:
                return consumers
