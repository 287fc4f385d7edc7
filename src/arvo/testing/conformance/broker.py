"""Broker: the tests that every broker must pass, in one class to subclass."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired.documents.codec import decode_message, encode_message
from arvo.interpreters.ports.broker import Broker, EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.messages import Message
from arvo.testing.conformance.kit import NOT_DURABLE, BrokerKit, conformance_test, skip
from arvo.testing.conformance.kit.samples import SERVICE, WORKFLOW, event
from arvo.testing.conformance.values import LARGE_EVENT_BYTES, UNUSUAL

MESSAGES = 100
DELAY_SECONDS = 0.2
# A clock in milliseconds may round the delay down.
DELAY_SECONDS_MIN = 0.19


def message(key: str, address: str = SERVICE, **attributes: Any) -> EncodedMessage:
    """Make an encoded message; equal arguments make equal messages."""
    return encode_message(Message(event(key, **attributes), ToHandler(address, None)))


class BrokerConformance(BrokerKit):
    """Tests that a `Broker` delivers at least once.

    Subclass it under a name that begins with `Test`, so that pytest collects it, and override
    `broker`. It opens a broker at `self.tmp_path`, a directory for each test. Override `close` if
    there is something to close. Set `is_durable = True` if two brokers at one path share their
    data.
    """

    @conformance_test
    async def test_published_messages_are_delivered_in_order(self, broker: Broker) -> None:
        """Unchanged, and as the first attempt."""
        sent = [message("one"), message("two"), message("three")]
        await broker.publish(sent)

        async with self._consume(broker) as deliveries:
            received = [await self._next(deliveries) for _ in sent]

            assert [delivery.message for delivery in received] == sent
            assert [delivery.attempt for delivery in received] == [1, 1, 1]

    @conformance_test
    async def test_queues_are_separate(self, broker: Broker) -> None:
        """A consumer receives only messages of its own queues."""
        await broker.publish([message("w", WORKFLOW), message("s", SERVICE)])

        async with self._consume(broker, SERVICE) as deliveries:
            assert (await self._next(deliveries)).message == message("s", SERVICE)
            await self.never(self._next(deliveries), "a message of another queue")

    @conformance_test
    async def test_a_waiting_consumer_receives_a_new_message(self, broker: Broker) -> None:
        """Publishing wakes a consumer that waits."""
        async with self._consume(broker) as deliveries:
            waiting = asyncio.ensure_future(self._next(deliveries))
            await asyncio.sleep(self.quiet_period)

            await broker.publish([message("late")])

            assert (await waiting).message == message("late")

    @conformance_test
    async def test_a_settled_message_is_not_redelivered(self, broker: Broker) -> None:
        """Whether it was acknowledged or dead-lettered."""
        await broker.publish([message("one"), message("two")])
        async with self._consume(broker) as deliveries:
            await broker.ack(await self._next(deliveries))
            await broker.dead_letter(await self._next(deliveries), "no handler accepts it")

        async with self._consume(broker) as deliveries:
            await self.never(self._next(deliveries), "a settled message")

    @conformance_test
    async def test_an_unsettled_message_is_redelivered(self, broker: Broker) -> None:
        """A consumer that ends without settling a message has not handled it."""
        await broker.publish([message("one")])
        async with self._consume(broker) as deliveries:
            await self._next(deliveries)

        async with self._consume(broker) as deliveries:
            assert (await self._next(deliveries)).message == message("one")

    @conformance_test
    async def test_a_nacked_message_is_redelivered_after_its_delay(self, broker: Broker) -> None:
        """Not earlier, and as the second attempt."""
        await broker.publish([message("one")])
        loop = asyncio.get_running_loop()
        async with self._consume(broker) as deliveries:
            first = await self._next(deliveries)
            nacked_at = loop.time()
            await broker.nack(first, DELAY_SECONDS)
            second = await self._next(deliveries)

            assert second.message == message("one")
            assert second.attempt == 2
            assert loop.time() - nacked_at >= DELAY_SECONDS_MIN

    @conformance_test
    async def test_a_stale_delivery_settles_nothing(self, broker: Broker) -> None:
        """The message has been redelivered to another consumer."""
        await broker.publish([message("one")])
        async with self._consume(broker) as deliveries:
            stale = await self._next(deliveries)
        async with self._consume(broker) as deliveries:
            current = await self._next(deliveries)
            await broker.ack(stale)
            await broker.nack(stale, 0.0)
            await self.never(self._next(deliveries), "a message that is in flight")
        async with self._consume(broker) as deliveries:
            assert (await self._next(deliveries)).message == current.message

    @conformance_test
    async def test_two_consumers_share_messages_without_duplicates(self, broker: Broker) -> None:
        """A delivered message belongs to one consumer."""
        await broker.publish([message(f"m{number}") for number in range(MESSAGES)])
        received: list[str] = []
        all_received = asyncio.Event()

        async def consume() -> None:
            async with self._consume(broker) as deliveries:
                async for delivery in deliveries:
                    received.append(decode_message(delivery.message).event.id)
                    if len(received) >= MESSAGES:
                        all_received.set()
                    await broker.ack(delivery)
                    await asyncio.sleep(0)

        consumers = [asyncio.ensure_future(consume()) for _ in range(2)]
        await self.eventually(all_received.wait(), "all messages")
        for task in consumers:
            task.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)

        assert sorted(received) == sorted(f"m{number}" for number in range(MESSAGES))

    @conformance_test
    async def test_unusual_and_large_messages_round_trip(self, broker: Broker) -> None:
        """Body, headers and queue are unchanged."""
        unusual_event = event(
            "漢字 ' 🧵", data=UNUSUAL, traceparent="00-1-2-01", tracestate="a=b c,é"
        )
        unusual = encode_message(Message(unusual_event, ToHandler("com.kit.odd", "'; drop -- 🧵")))
        large = message("large", "com.kit.odd", data={"text": "x" * LARGE_EVENT_BYTES})
        await broker.publish([unusual, large])

        async with self._consume(broker, "com.kit.odd") as deliveries:
            received = [(await self._next(deliveries)).message for _ in range(2)]

            # They are for different workflows, which have no order.
            received.sort(key=lambda message: len(message.body))
            assert received == [unusual, large]
            assert decode_message(received[0]).event.to_dict() == unusual_event.to_dict()

    @conformance_test
    async def test_a_published_message_survives_a_restart(self, broker: Broker) -> None:
        """For a durable broker."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        await broker.publish([message("one")])
        await self.close(broker)

        async with self.session() as restarted, self._consume(restarted) as deliveries:
            assert (await self._next(deliveries)).message == message("one")

    def _consume(self, broker: Broker, address: str = SERVICE) -> Any:
        return aclosing(broker.deliveries([address]))

    async def _next(self, deliveries: AsyncIterator[EncodedDelivery]) -> EncodedDelivery:
        return await self.eventually(anext(deliveries), "a message")
