"""Key order: the tests that a broker must pass which keeps the events of one workflow in order."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.interpreters.paired.documents.codec import decode_message, encode_message
from arvo.interpreters.ports.broker import Broker, EncodedMessage, ReportsDepth, SeesKeys
from arvo.testing.conformance.kit import NO_PLAIN, NO_SIGHT, BrokerKit, conformance_test, skip
from arvo.testing.conformance.kit.consumers import Consumers
from arvo.testing.conformance.kit.samples import SERVICE, WORKFLOW, event, to_service, to_workflow

DELAY_SECONDS: Final = 0.3
# A clock in milliseconds may round the delay down.
DELAY_SECONDS_MIN: Final = 0.29
# Longer than any test waits.
LONG_SECONDS: Final = 600.0
KEYS: Final = 12
EVENTS: Final = 5
CONSUMERS: Final = 4
BUSY_EVENTS: Final = 300


def of_key(name: str, run: str = "one", due: datetime | None = None) -> EncodedMessage:
    """Make a message for a workflow; those of one run have one key."""
    return encode_message(to_workflow(name, run), due)


class OrderedBrokerConformance(BrokerKit):
    """Tests that a `Broker` delivers the messages of a key one at a time, in order, to any process.

    Subclass it as `BrokerConformance`, for a broker that has `defer` (see `DefersDeliveries`). With
    `is_durable = True` each test uses two brokers at one path. Override `publish_plain` if other
    programs can publish to the broker; the kit then also tests the order of their messages.
    """

    quiet_period = 0.15

    async def publish_plain(self, broker: Any, event: Event[Any]) -> None:
        """Publish an event to the queue of `event.to` as a program does that knows no header."""

    @conformance_test
    async def test_the_next_message_of_a_key_waits_until_one_is_acked(self, broker: Broker) -> None:
        """Also at the consumers of other processes; and waiting uses up no attempt."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as two:
            first = await two.take("first")
            await two.expect_nothing()

            await two.ack(first)

            second = await two.take("second")
            # A broker may have given it to one consumer, and then to the other one.
            assert second.attempt - second.returns == 1

    @conformance_test
    async def test_a_nacked_message_holds_back_its_key_and_no_other(self, broker: Broker) -> None:
        """An event whose processing failed for the moment stops its own workflow."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as two:
            await two.nack(await two.take("first"), LONG_SECONDS)
            await broker.publish([of_key("stranger", "two")])

            await two.ack(await two.take("stranger"))
            await two.expect_nothing()

    @conformance_test
    async def test_a_nacked_message_comes_again_before_the_next_of_its_key(
        self, broker: Broker
    ) -> None:
        """Not before its delay, and as the next attempt."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as two:
            first = await two.take("first")
            nacked_at = asyncio.get_running_loop().time()
            await two.nack(first, DELAY_SECONDS)

            again = await two.take("first")
            assert asyncio.get_running_loop().time() - nacked_at >= DELAY_SECONDS_MIN
            assert again.attempt == first.attempt + 1
            await two.expect_nothing()
            await two.ack(again)
            await two.take("second")

    @conformance_test
    async def test_a_deferred_message_lets_those_of_its_key_pass(self, broker: Broker) -> None:
        """A signal that came before the begin of its workflow; a drain waits for it."""
        await broker.publish([of_key("early"), of_key("begin")])
        async with self._two(broker) as two:
            await two.defer(await two.take("early"), LONG_SECONDS)

            await two.ack(await two.take("begin"))
            await broker.publish([of_key("next")])
            await two.ack(await two.take("next"))
            await self._assert_depth(broker, 1)

    @conformance_test
    async def test_a_deferred_message_comes_again_after_its_delay(self, broker: Broker) -> None:
        """As the second attempt, and once."""
        await broker.publish([of_key("early")])
        async with self._two(broker) as two:
            early = await two.take("early")
            deferred_at = asyncio.get_running_loop().time()
            await two.defer(early, DELAY_SECONDS)

            again = await two.take("early")
            assert asyncio.get_running_loop().time() - deferred_at >= DELAY_SECONDS_MIN
            assert (again.message, again.attempt) == (early.message, 2)
            await two.ack(again)
            await two.expect_nothing()
            await self._assert_depth(broker, 0)

    @conformance_test
    async def test_the_others_of_a_key_are_seen(self, broker: Broker) -> None:
        """A worker that takes a turn without a message must not overtake one."""
        if not isinstance(broker, SeesKeys):
            skip(NO_SIGHT)
        await broker.publish([of_key("early"), of_key("first"), of_key("stranger", "two")])
        async with self._two(broker) as two:
            # Each of the two consumers may have one, and either may be seen first.
            both = await two.take_all("early", "stranger")
            stranger = both["stranger"]
            await two.defer(both["early"], LONG_SECONDS)
            first = await two.take("first")
            assert [await two.has_others(each) for each in (first, stranger)] == [False, False]

            await broker.publish([of_key("second")])

            assert [await two.has_others(each) for each in (first, stranger)] == [True, False]
            await two.ack(first)
            second = await two.take("second")
            assert not await two.has_others(second)
            await two.nack(second, 0.0)
            again = await two.take("second")
            assert not await two.has_others(again)

    @conformance_test
    async def test_a_dead_letter_lets_the_next_message_pass(self, broker: Broker) -> None:
        """One event that cannot be processed must not stop its workflow for ever."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as two:
            first = await two.take("first")
            await two.expect_nothing()

            await two.dead_letter(first)

            await two.take("second")

    @conformance_test
    async def test_a_message_of_an_ended_iteration_comes_first_again(self, broker: Broker) -> None:
        """The other process takes over in order."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as two:
            first = await two.take("first")
            await two.expect_nothing()

            await two.end(first)

            await two.ack(await two.take("first"))
            await two.take("second")

    @conformance_test
    async def test_a_nacked_message_of_an_ended_iteration_comes_first_again(
        self, broker: Broker
    ) -> None:
        """The other process takes over in order, at once or after the delay."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as two:
            first = await two.take("first")
            await two.nack(first, DELAY_SECONDS)

            await two.end(first)

            await two.ack(await two.take("first"))
            await two.take("second")

    @conformance_test
    async def test_a_timer_neither_waits_nor_holds_back(self, broker: Broker) -> None:
        """A timeout must fire while the event before it is processed, or is delayed for long."""
        soon = datetime.now(UTC) + timedelta(seconds=0.1)
        await broker.publish([of_key("first"), of_key("timer", due=soon)])
        async with self._two(broker) as two:
            deliveries = await two.take_all("first", "timer")
            await two.ack(deliveries["timer"])
            await two.ack(deliveries["first"])
            await broker.publish([of_key("second")])

            await two.take("second")

    @conformance_test
    async def test_messages_without_a_key_do_not_wait(self, broker: Broker) -> None:
        """A handler without memory works on several events of one workflow at the same time."""
        await broker.publish([encode_message(to_service(name)) for name in ("a", "b", "c")])
        async with aclosing(broker.deliveries([SERVICE])) as incoming:  # type: ignore[type-var]
            for name in ("a", "b", "c"):
                delivery = await self.eventually(anext(incoming), name)
                assert decode_message(delivery.message).event.id == name

    @conformance_test
    async def test_a_plain_message_of_another_program_waits_for_its_key(
        self, broker: Broker
    ) -> None:
        """Its key is the subject of the event."""
        if type(self).publish_plain is OrderedBrokerConformance.publish_plain:
            skip(NO_PLAIN)
        await broker.publish([of_key("first")])
        async with self._two(broker) as two:
            first = await two.take("first")
            for plain in (event("plain"), event("stranger", "two"), event("last")):
                await self.publish_plain(broker, plain)

            await two.ack(await two.take("stranger"))
            await two.expect_nothing()
            await two.ack(first)
            await two.ack(await two.take("plain"))
            await two.take("last")

    @conformance_test
    async def test_many_messages_of_a_busy_key_hold_back_no_other(self, broker: Broker) -> None:
        """One workflow with a long queue must not stop all others."""
        await broker.publish([of_key(f"m{number}") for number in range(BUSY_EVENTS)])
        async with self._two(broker) as two:
            await two.take("m0")
            await broker.publish([of_key(f"stranger-{n}", f"s{n}") for n in range(KEYS)])

            await two.take_all(*(f"stranger-{n}" for n in range(KEYS)))

    @conformance_test
    async def test_many_consumers_settle_each_key_in_order(self, broker: Broker) -> None:
        """Whatever they do with what they receive: ack it, nack it, or end without settling it."""
        random = Random(7)  # noqa: S311 - no secret, and the same in each run
        rounds = [[of_key(f"{n}", f"run-{k}") for k in range(KEYS)] for n in range(EVENTS)]
        await broker.publish([message for messages in rounds for message in messages])
        # A message that is delivered once more after its ack is a duplicate.
        acked: dict[str, dict[str, None]] = {}
        all_acked = asyncio.Event()

        async def consume(broker: Broker) -> None:
            while True:
                async with aclosing(broker.deliveries([WORKFLOW])) as incoming:  # type: ignore[type-var]
                    async for delivery in incoming:
                        received = decode_message(delivery.message).event
                        await asyncio.sleep(random.uniform(0.0, 0.005))
                        choice = random.random()
                        if choice < 0.1:
                            break
                        if choice < 0.3:
                            await broker.nack(delivery, random.choice((0.0, 0.02)))
                            continue
                        acked.setdefault(received.subject, {}).setdefault(received.id)
                        await broker.ack(delivery)
                        if sum(map(len, acked.values())) >= KEYS * EVENTS:
                            all_acked.set()

        async with AsyncExitStack() as stack:
            brokers = [broker]
            if self.is_durable:
                brokers += [await stack.enter_async_context(self.session())]
            consumers = [
                asyncio.create_task(consume(brokers[n % len(brokers)])) for n in range(CONSUMERS)
            ]
            await self.eventually(all_acked.wait(), "all messages")
            for task in consumers:
                task.cancel()
            await asyncio.gather(*consumers, return_exceptions=True)

        assert [list(ids) for ids in acked.values()] == [[f"{n}" for n in range(EVENTS)]] * KEYS

    def _two(self, broker: Any) -> Consumers:
        return Consumers(self, broker, WORKFLOW)

    async def _assert_depth(self, broker: object, total: int) -> None:
        """Wait until the broker counts so many messages, where it counts them.

        A server may get an ack on one connection after the question on another one.
        """
        if not isinstance(broker, ReportsDepth):
            return

        async def poll() -> None:
            while (await broker.depth()).total != total:  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.01)

        await self.eventually(poll(), f"a depth of {total}")
