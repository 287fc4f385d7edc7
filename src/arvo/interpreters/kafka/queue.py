"""Queue: the messages of one address that Kafka has delivered: ready, in flight or delayed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, final

from attrs import define, evolve, field, frozen
from confluent_kafka import Message as Record

from arvo.interpreters.delivery.brokers.headers import decode_headers, take_attempt, take_until
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.log import get_logger
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.kafka.consumer import Consumer
from arvo.interpreters.kafka.partition import AssignedPartition
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage

logger: Final = get_logger()

# A delayed message is not settled, so no later offset can be committed. After so long it is written
# again, at the end of its topic.
WAIT_SECONDS_MAX: Final = 600.0
# The pause between two attempts to write it.
PAUSE_SECONDS: Final = 0.5


@final
@frozen(eq=False)
class Token:
    """Identifies one delivery of a message."""

    queue: "Queue"
    partition: AssignedPartition
    offset: int
    iteration: object = None


@final
@define(eq=False)
class Queue:
    """The messages that a consumer has read for one address, shared by the iterations here.

    *republish* writes a message again, to be delivered at a later time.
    """

    name: str
    consumer: Consumer
    republish: Callable[[EncodedDelivery, datetime], Awaitable[None]]
    iterations: int = field(default=0, init=False)
    _ready: deque[EncodedDelivery] = field(factory=deque, init=False)
    _in_flight: dict[Token, EncodedDelivery] = field(factory=dict, init=False)
    _delayed: dict[Token, asyncio.TimerHandle] = field(factory=dict, init=False)
    _writes: set["asyncio.Task[None]"] = field(factory=set, init=False)

    def next(self, iteration: object) -> EncodedDelivery | None:
        """Return the next delivery, if there is one; raises the error that ended the consumer."""
        if self.consumer.error is not None:
            raise self.consumer.error
        while self.consumer.received:
            self._add(*self.consumer.received.popleft())
        while self._ready:
            delivery = self._ready.popleft()
            if not delivery.token.partition.is_revoking:
                # A new token for each delivery: a worker that lost the message settles nothing.
                token = evolve(delivery.token, iteration=iteration)
                token.partition.in_flight += 1
                self._in_flight[token] = delivery = evolve(delivery, token=token)
                return delivery
        return None

    def owns(self, delivery: EncodedDelivery) -> bool:
        """Return True if a delivery is still in flight here."""
        return delivery.token in self._in_flight and not delivery.token.partition.is_revoked

    def ack(self, delivery: EncodedDelivery) -> None:
        """Settle a message."""
        self._release(delivery.token)
        delivery.token.partition.settle(delivery.token.offset)

    def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after a delay that is short enough to hold it in memory."""
        self._release(delivery.token)
        self._delay(evolve(delivery, attempt=delivery.attempt + 1), delay)

    def return_all(self, iteration: object) -> None:
        """Put the unsettled deliveries of an iteration back to the front."""
        for delivery in list(reversed(self._in_flight.values())):
            if delivery.token.iteration is iteration:
                self._release(delivery.token)
                self._ready.appendleft(delivery)
        self.consumer.wakeup.set()

    def _release(self, token: Token) -> None:
        del self._in_flight[token]
        token.partition.in_flight -= 1

    async def stop(self) -> None:
        """Stop consuming; other processes receive the rest."""
        for timer in self._delayed.values():
            timer.cancel()
        self._delayed.clear()
        for write in self._writes:
            write.cancel()
        await asyncio.gather(*self._writes, return_exceptions=True)
        await self.consumer.stop()

    def _add(self, partition: AssignedPartition, record: Record) -> None:
        """Make a delivery of a record; other programs may have written any headers."""
        headers = decode_headers(_raw_headers(record))
        headers.pop("content-type", None)
        attempt, until = take_attempt(headers), take_until(headers)
        key: Any = record.key()
        message = EncodedMessage(
            queue=self.name,
            body=_bytes(record.value()),
            headers=headers,
            key=None if key is None else _bytes(key).decode(errors="replace"),
        )
        token = Token(self, partition, record.offset() or 0)
        returns = int(token.offset < partition.returned_end)
        delivery = EncodedDelivery(message, attempt + returns, token, returns)
        seconds = 0.0 if until is None else (until - utc_now()).total_seconds()
        if seconds <= 0:
            self._ready.append(delivery)
        elif seconds <= WAIT_SECONDS_MAX:
            self._delay(delivery, seconds)
        else:
            self._delay(delivery, WAIT_SECONDS_MAX, until)

    def _delay(
        self, delivery: EncodedDelivery, seconds: float, until: datetime | None = None
    ) -> None:
        """Make a delivery ready after some *seconds*; with *until*, write it again instead."""

        def on_time() -> None:
            del self._delayed[delivery.token]
            if until is None:
                self._ready.append(delivery)
                self.consumer.wakeup.set()
            else:
                self._start_republish(delivery, until)

        loop = asyncio.get_running_loop()
        self._delayed[delivery.token] = loop.call_later(seconds, on_time)

    def _start_republish(self, delivery: EncodedDelivery, until: datetime) -> None:
        """Write a message again, and again until that succeeds, then settle it here."""
        partition, offset = delivery.token.partition, delivery.token.offset

        async def write() -> None:
            while not partition.is_revoking:
                try:
                    await self.republish(delivery, until)
                except Exception as error:  # noqa: BLE001 - the message must not be lost for any of them
                    logger.warning("kafka: %s, trying again: %s", partition.topic, error)
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    partition.settle(offset)
                    return

        task = supervise(write(), name="arvo kafka write", on_failure=self.consumer.fail)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


def _raw_headers(record: Record) -> dict[str, bytes]:
    """Return the headers of a record; of several with one name, the last."""
    headers: dict[str, Any] = dict(record.headers() or ())
    return {name: _bytes(value) for name, value in headers.items()}


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
