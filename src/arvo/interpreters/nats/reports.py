"""Reports: what effects report, by core NATS, which stores nothing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import final

from attrs import define, field
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from arvo.interpreters.nats.connection.connection import REPLY_SECONDS, Connection
from arvo.interpreters.nats.connection.errors import translate_errors
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.reports.local import LocalReader


@final
@define(eq=False)
class NatsReports:
    """A `ReportChannel` with a subject of the server for each workflow."""

    connection: Connection
    prefix: str

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Publish a batch."""
        await self.connection.publish(self._name(delivery.message.event.subject), batch)

    @asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator["NatsReader"]:
        """Return a context with a reader of a subject."""
        reader = NatsReader(self.connection, self._name(subject))
        await reader.subscribe()
        try:
            yield reader
        finally:
            await reader.close()

    def _name(self, subject: str) -> str:
        digest = blake2b(subject.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        # In no stream of a broker with this prefix.
        return f"{self.prefix}-reports.{digest}"


@final
@define(eq=False)
class NatsReader:
    """A `ReportReader` with a subscription, which is made anew after a lost connection."""

    connection: Connection
    name: str
    _reader: LocalReader = field(factory=LocalReader, init=False)
    _subscription: Subscription | None = field(default=None, init=False)

    async def subscribe(self) -> None:
        """Subscribe, and wait until the server knows."""
        self.connection.on_lost.add(self._lose)
        self._subscription = await self.connection.subscribe(self._put, self.name)
        client = await self.connection.client()
        with translate_errors():
            await client.flush(round(REPLY_SECONDS))

    async def take(self) -> Sequence[bytes]:
        """Return the batches that have come; raises `Unavailable` where there is no server."""
        if self._subscription is None:
            await self.subscribe()
        return await self._reader.take()

    async def close(self) -> None:
        """End the subscription."""
        self.connection.on_lost.discard(self._lose)
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(Unavailable), translate_errors():
                await subscription.unsubscribe()

    async def _put(self, message: Msg) -> None:
        self._reader.put(message.data)

    def _lose(self) -> None:
        self._subscription = None
