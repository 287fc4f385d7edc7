"""In flight: the messages that one iteration has pulled and not settled, with their heartbeats."""

import asyncio
import math
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, final

from attrs import define, field

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.connection.wire import (
    EXPECT_NONE,
    EXPECTED_LAST,
    decode,
    has_key,
    notice_subject,
    seconds_left,
)
from arvo.interpreters.nats.key_gate import KeyGate
from arvo.interpreters.nats.publisher import Publisher
from arvo.interpreters.nats.pull import ACK, NAK, WINDOW_MAX, Pull, PulledMessage
from arvo.interpreters.nats.streams import Consumer, Streams
from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.interpreters.ports.errors import TooLarge, Unavailable

logger: Final = get_logger("nats")

# Heartbeats in the time that the server waits for one.
HEARTBEATS: Final = 3


@final
@define(eq=False)
class InFlight:
    """The messages of one iteration: *ready* to be delivered, held back by their key, or delivered
    and not settled.
    """

    streams: Streams
    publisher: Publisher
    ready: deque[PulledMessage] = field(factory=deque, init=False)
    _delivered: dict[int, PulledMessage] = field(factory=dict, init=False)
    _pulls: list[Pull] = field(factory=list, init=False)
    # By the subjects of the consumers whose messages have keys.
    _gates: dict[str, KeyGate] = field(factory=dict, init=False)
    _forwards: "set[asyncio.Task[None]]" = field(factory=set, init=False)
    _wakeup: asyncio.Event = field(factory=asyncio.Event, init=False)
    _is_lost: bool = field(default=False, init=False)
    _failure: Exception | None = field(default=None, init=False)
    _heartbeats: "asyncio.Task[None] | None" = field(default=None, init=False)

    @property
    def _connection(self) -> Connection:
        return self.streams.connection

    async def open(self, queues: Sequence[str]) -> None:
        """Begin to request the messages of these queues."""
        self._connection.on_lost.add(self._on_lost)
        for queue in queues:
            for consumer in await self.streams.declare_consumers(queue):
                pull = Pull(queue, self._connection, consumer, self._on_message, self._on_settled)
                self._pulls.append(pull)
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
                    attempt = pulled.attempt
                    return EncodedDelivery(message, attempt, pulled, returns=attempt - 1)
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
        self._connection.on_lost.discard(self._on_lost)
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            await asyncio.gather(self._heartbeats, return_exceptions=True)
        if not self._is_lost:
            await asyncio.gather(*(pull.close() for pull in self._pulls))
        for task in self._forwards:
            task.cancel()
        await asyncio.gather(*self._forwards, return_exceptions=True)
        held_back = [pulled for gate in self._gates.values() for pulled in await gate.close()]
        if not self._is_lost:
            await self._return([*self._delivered.values(), *self.ready, *held_back])
        self._delivered.clear()
        self.ready.clear()

    async def _return(self, messages: Sequence[PulledMessage]) -> None:
        unsettled = [pulled for pulled in messages if pulled.is_owned]
        unsettled.sort(key=lambda pulled: pulled.sequence)
        returns = [pulled.settle(self._connection, NAK) for pulled in unsettled]
        results = await asyncio.gather(*returns, return_exceptions=True)
        for pulled, result in zip(unsettled, results, strict=True):
            pulled.is_settled = True
            if isinstance(result, BaseException):
                extra = fields(sequence=pulled.sequence, reason=result)
                logger.debug("a message was not returned", extra=extra)

    def _on_message(self, pulled: PulledMessage | None) -> None:
        """Sort a message; None is the end of a request."""
        if pulled is None:
            pass
        elif pulled.consumer.is_unkeyed:
            self._start(self._forward(pulled))
        elif pulled.deliveries == 1 and (seconds := seconds_left(pulled.headers)) is not None:
            # Also if its time has come: so the count of deliveries gives the attempt.
            self._start(self._return_deferred(pulled, seconds))
        elif has_key(pulled.subject) and pulled.headers.get(EXPECTED_LAST) != EXPECT_NONE:
            self._gate(pulled.consumer).hold(pulled)
        else:
            self.ready.append(pulled)
        self._wakeup.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = supervise(work, name="arvo nats forward", on_failure=self._fail)
        self._forwards.add(task)
        task.add_done_callback(self._forwards.discard)

    def _gate(self, consumer: Consumer) -> KeyGate:
        gate = self._gates.get(consumer.subject)
        if gate is None:
            gate = KeyGate(self.streams, consumer, self._on_turn, self._has_room, self._fail)
            self._gates[consumer.subject] = gate
        return gate

    def _on_turn(self, pulled: PulledMessage) -> None:
        pulled.arrived_at = asyncio.get_running_loop().time()
        self.ready.append(pulled)
        self._wakeup.set()

    def _has_room(self) -> bool:
        return len(self.ready) < WINDOW_MAX

    def _on_settled(self, pulled: PulledMessage) -> None:
        self._delivered.pop(id(pulled), None)
        if (gate := self._gates.get(pulled.consumer.subject)) is not None:
            gate.notify(notice_subject(pulled.subject))

    async def _forward(self, pulled: PulledMessage) -> None:
        """Publish a message of another program under its key; the server then deletes it here."""
        try:
            message = decode(pulled.queue, pulled.headers, pulled.body)
            await self.publisher.forward(message, pulled.sequence)
            await pulled.settle(self._connection, ACK)
        except (ValueError, TooLarge):
            # It is delivered from where it is, so that it is dead-lettered as it arrived.
            self.ready.append(pulled)
        except Unavailable as error:
            # The server delivers it again, after the ack wait at the latest.
            extra = fields(queue=pulled.queue, sequence=pulled.sequence, reason=error)
            logger.warning("a message could not be forwarded", extra=extra)
            with suppress(Unavailable):
                await pulled.settle(self._connection, NAK)
        self._wakeup.set()

    async def _return_deferred(self, pulled: PulledMessage, seconds: float) -> None:
        """Have the server redeliver a message when its time has come."""
        with suppress(Unavailable):
            await pulled.nack(self._connection, seconds)

    async def _send_heartbeats(self) -> None:
        """Keep the messages that were delivered or are held back; return those that no worker here
        has taken for so long.
        """
        interval = min(pull.consumer.ack_wait for pull in self._pulls) / HEARTBEATS
        while True:
            await asyncio.sleep(interval)
            now = asyncio.get_running_loop().time()
            held_back = [pulled for gate in self._gates.values() for pulled in gate.waiting]
            messages = (*self._delivered.values(), *held_back)
            owned = [pulled for pulled in messages if pulled.is_owned]
            # Another process has the others, and nothing here settles them.
            for key in [key for key, pulled in self._delivered.items() if not pulled.is_owned]:
                del self._delivered[key]
            with suppress(Unavailable):
                await asyncio.gather(*(pulled.renew(self._connection) for pulled in owned))
                while self.ready and self.ready[0].arrived_at < now - interval:
                    await self.ready.popleft().settle(self._connection, NAK)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._wakeup.set()

    def _on_lost(self) -> None:
        self._is_lost = True
        self._wakeup.set()
