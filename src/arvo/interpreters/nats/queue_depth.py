"""Depth: how much is under way, and what a crash of the server has left in its streams."""

import asyncio
import logging
from typing import Final, final

from attrs import define, field

from arvo.interpreters.nats.connection import Content
from arvo.interpreters.nats.streams import WAITING, Streams
from arvo.interpreters.ports.backend import Depth

logger: Final = logging.getLogger("arvo")

# How often it is looked for what a crash has left, where somebody asks again and again.
SWEEP_SECONDS: Final = 1.0


@final
@define(eq=False)
class Census:
    """Counts what the streams of one prefix hold."""

    streams: Streams
    _swept_at: float = field(default=0.0, init=False)

    async def take(self) -> Depth:
        """Say how much is under way; what is put off counts as taken."""
        # In this order, as a timer that is due moves on: counted twice is no harm, not at all is.
        timed, held, waiting = await self._held(self.streams.timers)
        queued, more, _ = await self._held(self.streams.queue)
        total = max(0, timed - waiting) + queued
        taken = min(held + more, total)
        return Depth(ready=total - taken, taken=taken, timers=waiting)

    async def _held(self, stream: str) -> tuple[int, int, int]:
        """Give how many messages a stream holds, how many of them are out, and how many timers
        are not due.
        """
        messages = await self._messages(stream)
        if not messages:
            return 0, 0, 0
        consumers = await self._consumers(stream)
        waiting = sum(each["num_pending"] for each in consumers if each["name"] == WAITING)
        consumers = [each for each in consumers if each["name"] != WAITING]
        out = sum(each["num_ack_pending"] for each in consumers)
        ready = sum(each["num_pending"] for each in consumers)
        if messages > waiting and not out + ready and await self._sweep(stream, consumers):
            return await self._held(stream)
        return messages, out, waiting

    async def _sweep(self, stream: str, consumers: list[Content]) -> int:
        """Remove what was settled and is there all the same; give how much that was.

        A server that is killed may know that a message was acknowledged, and not that it therefore
        removed it: nobody would be handed it, and it would count as under way for ever.
        """
        now = asyncio.get_running_loop().time()
        if now < self._swept_at + SWEEP_SECONDS:
            return 0
        self._swept_at, removed = now, 0
        for each in consumers:
            subject, floor = each["config"]["filter_subject"], each["ack_floor"]["stream_seq"]
            # Up to the floor all has been settled, and a consumer never goes back.
            request = {"filter": subject, "seq": floor + 1}
            said = await self.streams.link.api(f"STREAM.PURGE.{stream}", request)
            if said["purged"]:
                logger.info("nats: %s settled messages were left at %s", said["purged"], subject)
            removed += said["purged"]
        return removed

    async def _messages(self, stream: str) -> int:
        info = await self.streams.link.api(f"STREAM.INFO.{stream}")
        return int(info["state"]["messages"])

    async def _consumers(self, stream: str) -> list[Content]:
        found: list[Content] = []
        while True:
            page = await self.streams.link.api(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
            found += page["consumers"]
            if len(found) >= page["total"] or not page["consumers"]:
                return found
