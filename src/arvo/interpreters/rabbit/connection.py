"""Connection: one connection to RabbitMQ, and its channels."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, final

from aio_pika import connect
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError, PublishError
from aiormq import Channel
from attrs import define, field
from pamqp import commands

from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.rabbit.errors import translate_errors

# The time of a call after which the server is unavailable: a quorum queue may elect a leader first.
CALL_SECONDS_MAX: Final = 10.0
CLOSE_SECONDS_MAX: Final = 2.0
# The pause, for all callers, before a server that could not be reached is tried again.
PAUSE_SECONDS: Final = 0.1


@final
@define(eq=False)
class Connection:
    """One connection, opened at first use, with a channel for publishing.

    Not the driver's robust connection, which restores channels and consumers: a delivery of the
    lost connection belongs to no consumer any more, and settling it must change nothing.
    """

    url: str = field(repr=False)
    _connection: AbstractConnection | None = field(default=None, init=False)
    _channel: AbstractChannel | None = field(default=None, init=False)
    # Names of the queues, exchanges and bindings that were declared on the open channel.
    declared: set[str] = field(factory=set, init=False)
    _unreachable_until: float = field(default=0.0, init=False)
    _opening: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    # The calls for which `finish` no longer waits.
    _ending: "set[asyncio.Task[None]]" = field(factory=set, init=False)

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[AbstractChannel]:
        """Lend the channel for publishing, on which the server confirms each message."""
        channel = await self._publisher()
        try:
            with translate_errors():
                async with asyncio.timeout(CALL_SECONDS_MAX):
                    yield channel
        except (Unavailable, Corrupt) as error:
            if isinstance(error.__cause__, PublishError):
                # A queue or an exchange was deleted.
                self.declared.clear()
            elif not isinstance(error.__cause__, DeliveryError):
                # After a call was given up, a channel answers no other call, without an error.
                await self._discard(channel)
            raise

    async def consumer(self) -> AbstractChannel:
        """Open a channel for consuming; closing it returns the unsettled deliveries."""
        async with self._opening:
            connection = await self._connected()
        with translate_errors():
            async with asyncio.timeout(CALL_SECONDS_MAX):
                return await connection.channel(publisher_confirms=False)

    async def declare(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Create a durable queue if it does not exist."""
        if name not in self.declared:
            async with self.publishing() as channel:
                await channel.declare_queue(name, durable=True, arguments=dict(arguments))
            self.declared.add(name)

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for the last calls of a channel, for `CLOSE_SECONDS_MAX`; then they go on alone.

        Not cancelled: after a call that is given up, the driver closes the channel, and forgets the
        acks that a flush waits for. If they take longer than a call may, the connection is closed:
        the server would go on delivering to a channel whose messages nobody takes.
        """
        task = asyncio.ensure_future(self._end(asyncio.ensure_future(work)))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        await asyncio.wait({task}, timeout=CLOSE_SECONDS_MAX)

    async def _end(self, work: "asyncio.Future[None]") -> None:
        connection = self._connection
        try:
            done, _ = await asyncio.wait({work}, timeout=CALL_SECONDS_MAX)
            if not done and self._connection is connection:
                await self.close()
        finally:
            work.cancel()

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection, self._channel = self._connection, None, None
        self.declared.clear()
        if connection is not None:
            with suppress(*CONNECTION_EXCEPTIONS):
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await connection.close()
        for task in self._ending:
            task.cancel()

    async def _publisher(self) -> AbstractChannel:
        async with self._opening:
            connection = await self._connected()
            if self._channel is None or self._channel.is_closed:
                self.declared.clear()
                with translate_errors():
                    async with asyncio.timeout(CALL_SECONDS_MAX):
                        self._channel = await connection.channel(on_return_raises=True)
            return self._channel

    async def _discard(self, channel: AbstractChannel) -> None:
        if self._channel is channel:
            self._channel = None
        await self.finish(close_channel(channel))

    async def _connected(self) -> AbstractConnection:
        # A lost connection does not report that it is closed.
        if self._connection is None or not self._connection.connected.is_set():
            await self.close()
            time = asyncio.get_running_loop().time
            if time() < self._unreachable_until:
                raise Unavailable("rabbit: the server could not be reached a moment ago")
            try:
                with translate_errors():
                    async with asyncio.timeout(CALL_SECONDS_MAX):
                        self._connection = await connect(self.url)
            except Unavailable:
                self._unreachable_until = time() + PAUSE_SECONDS
                raise
        return self._connection


async def ack(incoming: AbstractIncomingMessage) -> None:
    """Ack a message; the server does not confirm it, and redelivers it if the connection is lost.

    A lost connection may take no call any more, without an error: the queue of the driver is full,
    and nothing writes it. The next message of the key would wait for that ack for ever.
    """
    with suppress(*CONNECTION_EXCEPTIONS, TimeoutError):
        async with asyncio.timeout(CALL_SECONDS_MAX):
            await incoming.ack()


async def close_channel(channel: AbstractChannel) -> None:
    """Close a channel, and wait until the server has closed it or the connection is lost.

    Not by `channel.close`: the driver gives that up after the time of one heartbeat, for example
    when this process was frozen meanwhile, and then sends a second close. The server answers that
    one by closing the connection, with all its channels and the deliveries in hand.
    """
    with suppress(*CONNECTION_EXCEPTIONS):
        underlay = await channel.get_underlay_channel()
        assert isinstance(underlay, Channel)
        # The driver answers with `ChannelClosed`, one of these exceptions.
        await underlay.rpc(commands.Channel.Close(200, "normally closed", 0, 0))
