"""Link: a connection to RabbitMQ, its channels, and what its errors mean."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, final

from aio_pika import connect
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)
from attrs import define, field

from arvo.interpreters.ports.backend import Corrupt, Unavailable

# What a call may take before the server counts as gone: a quorum may have to elect a leader first.
CALL_SECONDS_MAX: Final = 10.0
CLOSE_SECONDS_MAX: Final = 2.0
# How long a server that is gone is left alone, by all who ask for it here.
PAUSE_SECONDS: Final = 0.1


@final
@define(eq=False)
class Link:
    """One connection, opened at first use, and a channel on it for what is published.

    Not the driver's robust one, which takes up again what it had: a delivery of before is nobody's
    any more, and whoever settles it must be told nothing else.
    """

    url: str = field(repr=False)
    _connection: AbstractConnection | None = field(default=None, init=False)
    _channel: AbstractChannel | None = field(default=None, init=False)
    # Names of what was made sure of, on the channel that is open now.
    declared: set[str] = field(factory=set, init=False)
    _gone_until: float = field(default=0.0, init=False)
    _opening: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[AbstractChannel]:
        """Give the channel for what is published: the server says when it has a message."""
        channel = await self._publisher()
        try:
            async with reached():
                yield channel
        except (Unavailable, Corrupt) as error:
            if isinstance(error.__cause__, PublishError):
                # Something that was declared is no more.
                self.declared.clear()
            elif not isinstance(error.__cause__, DeliveryError):
                # After a call that was given up, a channel answers no other, and does not say so.
                await self._drop(channel)
            raise

    async def consumer(self, prefetch: int) -> AbstractChannel:
        """Open a channel for who consumes: closing it gives back what was not settled."""
        async with self._opening:
            connection = await self._connected()
        async with reached():
            channel = await connection.channel(publisher_confirms=False)
            await channel.set_qos(prefetch_count=prefetch)
            return channel

    async def declare(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Make sure that a durable queue is there."""
        if name not in self.declared:
            async with self.publishing() as channel:
                await channel.declare_queue(name, durable=True, arguments=dict(arguments))
            self.declared.add(name)

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection, self._channel = self._connection, None, None
        self.declared.clear()
        if connection is not None:
            with suppress(*CONNECTION_EXCEPTIONS):
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await connection.close()

    async def _publisher(self) -> AbstractChannel:
        async with self._opening:
            connection = await self._connected()
            if self._channel is None or self._channel.is_closed:
                self.declared.clear()
                async with reached():
                    self._channel = await connection.channel(on_return_raises=True)
            return self._channel

    async def _drop(self, channel: AbstractChannel) -> None:
        if self._channel is channel:
            self._channel = None
        with suppress(*CONNECTION_EXCEPTIONS):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await channel.close()

    async def _connected(self) -> AbstractConnection:
        # One that was lost does not say that it is closed.
        if self._connection is None or not self._connection.connected.is_set():
            await self.close()
            time = asyncio.get_running_loop().time
            if time() < self._gone_until:
                raise Unavailable("rabbit: it could not be reached a moment ago")
            try:
                async with reached():
                    self._connection = await connect(self.url)
            except Unavailable:
                self._gone_until = time() + PAUSE_SECONDS
                raise
        return self._connection


@asynccontextmanager
async def reached() -> AsyncIterator[None]:
    """Bound what the driver does, and say what its errors mean."""
    try:
        async with asyncio.timeout(CALL_SECONDS_MAX):
            yield
    except (AuthenticationError, ProbableAuthenticationError) as error:
        raise Corrupt(f"rabbit lets us not in, check user and password: {error!r}") from error
    except ChannelPreconditionFailed as error:
        remedy = "delete the queue when it is empty, or choose another prefix"
        raise Corrupt(f"a queue was made with other settings, {remedy}: {error!r}") from error
    except PublishError as error:
        raise Unavailable("rabbit: the queue is gone, and made again next time") from error
    except DeliveryError as error:
        raise Unavailable("rabbit: the queue is full, try later") from error
    except CONNECTION_EXCEPTIONS as error:
        raise Unavailable(f"rabbit: {error!r}") from error
