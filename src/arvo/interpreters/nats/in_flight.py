"""In flight: the messages that one iteration has pulled and not settled, with their heartbeats."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, final

from attrs import define, field
from nats.aio.msg import Msg

from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.nats.connection import Connection, status_of
from arvo.interpreters.nats.pull import Pull
from arvo.interpreters.nats.streams import Streams
from arvo.interpreters.nats.wire import decode
from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.interpreters.ports.errors import Unavailable

logger: Final = logging.getLogger("arvo")

ACK: Final = b"+ACK"
NAK: Final = b"-NAK"
TERM: Final = b"+TERM"
IN_PROGRESS: Final = b"+WPI"
# Heartbeats in the time that the server waits for one.
HEARTBEATS: Final = 3


@final
@define(eq=False)
class PulledMessage:
    """A message that the server has delivered to this process, which owns it *until* then.

    Times are by the clock of the event loop.
    """

    queue: str
    # The name of its stream and the name of the consumer.
    consumer: tuple[str, str]
    headers: Mapping[str, str]
    body: bytes
    reply: str
    sequence: int
    attempt: int
    ack_wait: float
    arrived_at: float
    until: float
    is_settled: bool = False

    @property
    def is_owned(self) -> bool:
        """True while no other process can have it."""
        return not self.is_settled and asyncio.get_running_loop().time() < self.until

    async def settle(self, connection: Connection, reply: bytes) -> None:
        """Settle it, and wait until the server has confirmed that."""
        await connection.request(self.reply, reply)
        self.is_settled = True

    async def ack(self, connection: Connection) -> None:
        """Ack it, without a confirmation: a lost ack only causes a second delivery."""
        await connection.publish(self.reply, ACK)
        self.is_settled = True


@final
@define(eq=False)
class InFlight:
    """The messages of one iteration: *ready* to be delivered, or delivered and not settled."""

    connection: Connection
    streams: Streams
    ready: deque[PulledMessage] = field(factory=deque, init=False)
    _delivered: dict[int, PulledMessage] = field(factory=dict, init=False)
    _pulls: dict[Pull, str] = field(factory=dict, init=False)
    _wakeup: asyncio.Event = field(factory=asyncio.Event, init=False)
    _is_lost: bool = field(default=False, init=False)
    _failure: Exception | None = field(default=None, init=False)
    _heartbeats: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def open(self, queues: Sequence[str]) -> None:
        """Begin to request the messages of these queues."""
        self.connection.on_lost.add(self._on_lost)
        for queue in queues:
            for stream in (self.streams.queue, self.streams.timers):
                name = await self.streams.declare_consumer(stream, queue)
                ack_wait = self.streams.ack_waits[name]
                pull = Pull(self.connection, stream, name, self._on_message, ack_wait)
                self._pulls[pull] = queue
                await pull.open()
        if self._pulls:
            self._heartbeats = supervise(
                self._send_heartbeats(), name="arvo nats heartbeats", on_failure=self._fail
            )

    async def next(self) -> EncodedDelivery:
        """Return the next delivery; waits for one."""
        loop = asyncio.get_running_loop()
        while True:
            if self._is_lost:
                raise Unavailable("nats: the connection was lost")
            if self._failure is not None:
                # Without heartbeats the server redelivers the messages while they are processed.
                raise self._failure
            while self.ready:
                pulled = self.ready.popleft()
                # A message that waited here for too long belongs to another process.
                if pulled.is_owned:
                    self._delivered[id(pulled)] = pulled
                    message = decode(pulled.queue, pulled.headers, pulled.body)
                    return EncodedDelivery(message, pulled.attempt, pulled)
            self._wakeup.clear()
            for pull in self._pulls:
                await pull.request_more()
            deadline = min((pull.deadline for pull in self._pulls), default=math.inf)
            seconds = None if deadline == math.inf else max(0.0, deadline - loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wakeup.wait()

    async def close(self) -> None:
        """Return the unsettled messages in their order; after a lost connection, do nothing.

        The server then redelivers them by itself after a while; until then their workers may settle
        them on the next connection.
        """
        self.connection.on_lost.discard(self._on_lost)
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            await asyncio.gather(self._heartbeats, return_exceptions=True)
        if not self._is_lost:
            await asyncio.gather(*(pull.close() for pull in self._pulls))
            await self._return_all()
        self._delivered.clear()
        self.ready.clear()

    async def _return_all(self) -> None:
        pulled_here = (*self._delivered.values(), *self.ready)
        unsettled = [pulled for pulled in pulled_here if pulled.is_owned]
        unsettled.sort(key=lambda pulled: pulled.sequence)
        returns = [pulled.settle(self.connection, NAK) for pulled in unsettled]
        results = await asyncio.gather(*returns, return_exceptions=True)
        for pulled, result in zip(unsettled, results, strict=True):
            pulled.is_settled = True
            if isinstance(result, BaseException):
                logger.debug("nats: message %s was not returned: %s", pulled.sequence, result)

    def _on_message(self, pull: Pull, message: Msg) -> None:
        if status_of(message) is None:
            now, metadata = asyncio.get_running_loop().time(), message.metadata
            pulled = PulledMessage(
                queue=self._pulls[pull],
                consumer=(pull.stream, pull.consumer),
                headers=message.headers or {},
                body=message.data,
                reply=message.reply,
                sequence=metadata.sequence.stream,
                attempt=metadata.num_delivered,
                ack_wait=pull.ack_wait,
                arrived_at=now,
                until=now + pull.ack_wait,
            )
            self.ready.append(pulled)
        self._wakeup.set()

    async def _send_heartbeats(self) -> None:
        """Keep the delivered messages; return those that no worker here has taken for so long."""
        interval = min(pull.ack_wait for pull in self._pulls) / HEARTBEATS
        while True:
            await asyncio.sleep(interval)
            now = asyncio.get_running_loop().time()
            self._delivered = {
                key: pulled for key, pulled in self._delivered.items() if pulled.is_owned
            }
            with suppress(Unavailable):
                for pulled in list(self._delivered.values()):
                    await self.connection.publish(pulled.reply, IN_PROGRESS)
                    pulled.until = now + pulled.ack_wait
                while self.ready and self.ready[0].arrived_at < now - interval:
                    await self.ready.popleft().settle(self.connection, NAK)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._wakeup.set()

    def _on_lost(self) -> None:
        self._is_lost = True
        self._wakeup.set()
