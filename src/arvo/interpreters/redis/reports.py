"""Reports: what effects report, by the publish and subscribe of the server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, final

from attrs import define, field

from arvo.interpreters.delivery.tasks import end_task, supervise
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.redis.connection import CALL_SECONDS_MAX, Connection
from arvo.interpreters.redis.errors import translate_errors
from arvo.interpreters.reports.local import LocalReader, LocalReports

# How often the subscriptions are changed to those that readers want.
LISTEN_SECONDS: Final = 0.05
# The pause before an unavailable server is tried again. Reports are lost meanwhile.
PAUSE_SECONDS: Final = 0.1


@final
@define(eq=False)
class RedisReports:
    """A `ReportChannel` with a channel of the server for each subject, and one subscription of this
    process. The server drops what no process has subscribed to.
    """

    connection: Connection
    prefix: str
    _local: LocalReports = field(factory=LocalReports, init=False)
    _readers: Counter[str] = field(factory=Counter, init=False)
    # Those that the server has confirmed, and the futures of readers that wait for that.
    _subscribed: set[str] = field(factory=set, init=False)
    _waiting: "dict[str, list[asyncio.Future[None]]]" = field(factory=dict, init=False)
    _listening: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Publish a batch."""
        with translate_errors():
            async with asyncio.timeout(CALL_SECONDS_MAX):
                channel = self._channel(delivery.message.event.subject)
                await self.connection.redis.publish(channel, batch)

    @asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator[LocalReader]:
        """Return a context with a reader of a subject."""
        channel = self._channel(subject)
        async with self._local.read(channel) as reader:
            self._readers[channel] += 1
            try:
                if self._listening is None or self._listening.done():
                    work = self._listen()
                    self._listening = supervise(
                        work, name="arvo redis reports", on_failure=self._fail
                    )
                await self._wait_for(channel)
                yield reader
            finally:
                self._readers[channel] -= 1
                if not self._readers[channel]:
                    del self._readers[channel]

    async def close(self) -> None:
        """End the subscription."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await end_task(listening)

    async def _wait_for(self, channel: str) -> None:
        """Wait until the server has confirmed a subscription."""
        if channel in self._subscribed:
            return
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(channel, []).append(confirmed)
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                await confirmed
        except TimeoutError:
            raise Unavailable("redis: no subscription was confirmed") from None

    async def _listen(self) -> None:
        # Without readers it ends; the next one starts it again.
        while self._readers:
            with suppress(Unavailable):
                await self._listen_once()
            self._subscribed.clear()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _listen_once(self) -> None:
        wanted: set[str] = set()
        with translate_errors():
            async with self.connection.redis.pubsub() as pubsub:
                while self._readers:
                    if added := self._readers.keys() - wanted:
                        await pubsub.subscribe(*added)
                    if removed := wanted - self._readers.keys():
                        await pubsub.unsubscribe(*removed)
                        self._subscribed -= removed
                    wanted = set(self._readers)
                    self._take(await pubsub.get_message(timeout=LISTEN_SECONDS))

    def _take(self, message: dict[str, Any] | None) -> None:
        match message:
            case {"type": "subscribe", "channel": bytes(channel)}:
                self._subscribed.add(channel.decode())
                for confirmed in self._waiting.pop(channel.decode(), ()):
                    if not confirmed.done():
                        confirmed.set_result(None)
            case {"type": "message", "channel": bytes(channel), "data": bytes(batch)}:
                self._local.put(channel.decode(), batch)
            case _:
                pass

    def _fail(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            for confirmed in waiting:
                if not confirmed.done():
                    confirmed.set_exception(error)
        self._waiting.clear()

    def _channel(self, subject: str) -> str:
        return f"{self.prefix}:reports:{subject}"
