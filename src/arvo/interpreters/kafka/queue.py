"""Queue: the messages of one address that Kafka has delivered: ready, in flight or put off."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, final

from attrs import define, evolve, field, frozen
from confluent_kafka import Message as Record

from arvo.interpreters.delivery.brokers.headers import ORDER, decode_headers
from arvo.interpreters.delivery.brokers.key_queue import KeyQueue
from arvo.interpreters.delivery.brokers.ordering import foreign_order_of
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.kafka.consumer import Consumer
from arvo.interpreters.kafka.held import Held
from arvo.interpreters.kafka.partition import AssignedPartition
from arvo.interpreters.kafka.record import DecodedRecord, decode_record, raw_headers
from arvo.interpreters.kafka.rewriter import Rewriter
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge

# A delayed message is not settled, so no later offset can be committed. After so long it is written
# again, at the end of its topic.
WAIT_SECONDS_MAX: Final = 600.0


@final
@frozen(eq=False)
class Token:
    """One delivery of a message. *order*: the header of its key, empty for none."""

    queue: "Queue"
    partition: AssignedPartition
    messages: KeyQueue
    offset: int
    order: str
    iteration: object = None


@final
@define(eq=False)
class Queue:
    """The messages that a consumer has read for one address, shared by the iterations here.

    *republish* writes a message again, to be delivered at a later time, and *forward* writes one of
    another program, with these headers, to the partition of its key. The messages of a key are in
    one partition, and are delivered one at a time, in order.
    """

    name: str
    consumer: Consumer
    republish: Callable[[EncodedDelivery, datetime], Awaitable[None]]
    forward: Callable[[EncodedMessage, Mapping[str, str]], Awaitable[None]]
    iterations: int = field(default=0, init=False)
    # The messages of each partition. The first partition is the next one to deliver from.
    _partitions: dict[AssignedPartition, KeyQueue] = field(factory=dict, init=False)
    _in_flight: dict[Token, EncodedDelivery] = field(factory=dict, init=False)
    _rewriter: Rewriter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rewriter = Rewriter(self.consumer.fail)

    def next(self, iteration: object) -> EncodedDelivery | None:
        """Return the next delivery, if there is one; raises the error that ended the consumer."""
        if self.consumer.error is not None:
            raise self.consumer.error
        while self.consumer.received:
            self._add(*self.consumer.received.popleft())
        for partition in list(self._partitions):
            messages = self._partitions.pop(partition)
            if partition.is_revoking:
                messages.close()
                continue
            self._partitions[partition] = messages
            delivery = messages.pop()
            if delivery is not None:
                # A new token for each delivery: a worker that lost the message settles nothing.
                token = evolve(delivery.token, iteration=iteration)
                partition.in_flight += 1
                self._in_flight[token] = delivery = evolve(delivery, token=token)
                return delivery
        return None

    def owns(self, delivery: EncodedDelivery) -> bool:
        """Return True if a delivery is still in flight here."""
        return delivery.token in self._in_flight and not delivery.token.partition.is_revoked

    def ack(self, delivery: EncodedDelivery) -> None:
        """Settle a message."""
        token: Token = delivery.token
        token.partition.settle(token.offset)
        self._release(token)
        token.messages.release(token.order)

    def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after a delay, from here; the others of its key wait."""
        self._hold(delivery, delay)
        retried = evolve(delivery, attempt=delivery.attempt + 1)
        delivery.token.messages.put_back(retried, delay)

    def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after a delay, from here; the others of its key pass it."""
        self._hold(delivery, delay, is_deferred=True)
        messages, order = delivery.token.messages, delivery.token.order
        messages.release(order)
        messages.add_later(evolve(delivery, attempt=delivery.attempt + 1), order, delay)

    def return_all(self, iteration: object) -> None:
        """Put the unsettled deliveries of an iteration back to the front."""
        for delivery in list(reversed(self._in_flight.values())):
            if delivery.token.iteration is iteration:
                self._release(delivery.token)
                delivery.token.messages.put_first(delivery)
        self.consumer.wakeup.set()

    async def stop(self) -> None:
        """Stop consuming; other processes receive the rest."""
        for messages in self._partitions.values():
            messages.close()
        await self._rewriter.stop()
        await self.consumer.stop()

    def _release(self, token: Token) -> None:
        del self._in_flight[token]
        token.partition.in_flight -= 1

    def _hold(self, delivery: EncodedDelivery, delay: float, *, is_deferred: bool = False) -> None:
        """End a delivery, and note when the message is due again."""
        due = utc_now() + timedelta(seconds=delay)
        # Its returns are counted anew by each process that gets the partition.
        held = Held(delivery.attempt - delivery.returns + 1, due, is_deferred)
        delivery.token.partition.hold(delivery.token.offset, held)
        self._release(delivery.token)

    def _add(self, partition: AssignedPartition, record: Record) -> None:
        """Add a record to the messages that wait, or write it to where it belongs."""
        read, offset = decode_record(record, self.name), record.offset() or 0
        if partition.is_revoking:
            return
        if read.order is None and (order := foreign_order_of(read.message)):
            self._forward(partition, offset, record, evolve(read, order=order))
            return
        delivery = self._delivery(partition, offset, read)
        if read.until is not None:
            self._delay(delivery, read.until)
            return
        messages, held = delivery.token.messages, partition.held.get(offset)
        if held is None:
            messages.add(delivery, delivery.token.order)
            return
        delivery = evolve(delivery, attempt=held.attempt + delivery.returns)
        seconds = (held.due - utc_now()).total_seconds()
        if held.is_deferred and seconds > 0:
            messages.add_later(delivery, delivery.token.order, seconds)
        else:
            messages.add(delivery, delivery.token.order, seconds)

    def _delivery(
        self, partition: AssignedPartition, offset: int, read: DecodedRecord
    ) -> EncodedDelivery:
        messages = self._partitions.get(partition)
        if messages is None:
            messages = self._partitions[partition] = KeyQueue(self.consumer.wakeup.set)
        token = Token(self, partition, messages, offset, read.order or "")
        returns = int(offset < partition.returned_end)
        return EncodedDelivery(read.message, read.attempt + returns, token, returns)

    def _delay(self, delivery: EncodedDelivery, until: datetime) -> None:
        """Deliver a message after a time; one with a key is written to its partition then."""
        seconds = (until - utc_now()).total_seconds()
        token: Token = delivery.token
        if seconds <= WAIT_SECONDS_MAX and not token.order:
            token.messages.add(delivery, "", seconds)
            return

        async def write() -> bool:
            await self.republish(delivery, until)
            return True

        def on_time() -> None:
            self._rewriter.start(token.partition, token.offset, write)

        token.messages.call_later(min(seconds, WAIT_SECONDS_MAX), on_time)

    def _forward(
        self, partition: AssignedPartition, offset: int, record: Record, read: DecodedRecord
    ) -> None:
        """Write a message of another program to the partition of its key."""
        headers = {**decode_headers(raw_headers(record)), ORDER: read.order or ""}

        async def write() -> bool:
            try:
                await self.forward(read.message, headers)
            except TooLarge:
                # It does not fit with one header more, and stays in its partition.
                delivery = self._delivery(partition, offset, read)
                delivery.token.messages.add(delivery, delivery.token.order)
                return False
            return True

        self._rewriter.start_in_order(partition, offset, write)
