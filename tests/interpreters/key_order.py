"""Key order: the tests that a broker must pass which keeps the events of one workflow in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from datetime import datetime, timedelta
from random import Random
from typing import Any

from arvo import EncodedDelivery, EncodedMessage, Event
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.paired.codec import encode_message
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.results import Committed, Duplicate
from arvo.testing.conformance.kit import BackendKit, Kit, conformance_test
from arvo.testing.conformance.samples import (
    SERVICE,
    WORKFLOW,
    event,
    to_service,
    to_workflow,
    turn_commit,
)
from tests.interpreters.brokers import event_ids, event_of

DELAY_SECONDS = 0.3
# Longer than any test waits.
LONG_SECONDS = 600.0
# A clock in milliseconds may round the delay down.
DELAY_SECONDS_MIN = 0.29
KEYS, EVENTS, CONSUMERS = 12, 5, 4


def of_key(name: str, run: str = "one", due: datetime | None = None) -> EncodedMessage:
    """Make a message for a workflow; those of one run have one key."""
    return encode_message(to_workflow(name, run), due)


class KeyOrderConformance(Kit):
    """Two brokers on one server deliver the messages of a key one at a time, in order."""

    # Some brokers notice only after a while that a message was settled elsewhere.
    timeout = 20.0
    quiet_period = 0.15

    async def broker(self) -> Any:
        """Open a broker at `self.tmp_path`; the same path means the same broker."""
        raise NotImplementedError

    async def publish_plain(self, broker: Any, event: Event[Any]) -> None:
        """Publish an event to the queue of `WORKFLOW` as a program does that knows no header."""
        raise NotImplementedError

    async def open_subject(self) -> Any:
        return await self.broker()

    async def close_subject(self, subject: Any) -> None:
        await subject.close()

    @conformance_test
    async def test_the_next_message_of_a_key_waits_until_one_is_acked(self, broker: Broker) -> None:
        """Also at the consumers of other processes; and waiting uses up no attempt."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as (mine, _, its):
            first = await self._receive(mine, "first")
            await self._assert_waits(its)

            await broker.ack(first)

            assert (await self._take(mine, its, "second")).attempt == 1

    @conformance_test
    async def test_a_nacked_message_holds_back_its_key_and_no_other(self, broker: Broker) -> None:
        """An event whose processing failed for the moment stops its own workflow."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as (mine, _, its):
            await broker.nack(await self._receive(mine, "first"), LONG_SECONDS)
            await broker.publish([of_key("stranger", "two")])

            await broker.ack(await self._take(mine, its, "stranger"))
            await self._assert_waits(mine)
            await self._assert_waits(its)

    @conformance_test
    async def test_a_nacked_message_comes_again_before_the_next_of_its_key(
        self, broker: Broker
    ) -> None:
        """Not before its delay, and as the second attempt."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as (mine, _, its):
            first = await self._receive(mine, "first")
            nacked_at = asyncio.get_running_loop().time()
            await broker.nack(first, DELAY_SECONDS)

            again = await self._take(mine, its, "first")
            assert asyncio.get_running_loop().time() - nacked_at >= DELAY_SECONDS_MIN
            assert again.attempt == 2
            await self._assert_waits(its)
            await broker.ack(again)
            await self._take(mine, its, "second")

    @conformance_test
    async def test_a_deferred_message_lets_those_of_its_key_pass(self, broker: Any) -> None:
        """A signal that came before the begin of its workflow; a drain waits for it."""
        await broker.publish([of_key("early"), of_key("begin")])
        async with self._two(broker) as (mine, _, its):
            await broker.defer(await self._receive(mine, "early"), LONG_SECONDS)

            await broker.ack(await self._take(mine, its, "begin"))
            await broker.publish([of_key("next")])
            await broker.ack(await self._take(mine, its, "next"))
            assert (await broker.depth()).total == 1

    @conformance_test
    async def test_a_deferred_message_comes_again_after_its_delay(self, broker: Any) -> None:
        """As the second attempt, and once."""
        await broker.publish([of_key("early")])
        async with self._two(broker) as (mine, _, its):
            early = await self._receive(mine, "early")
            deferred_at = asyncio.get_running_loop().time()
            await broker.defer(early, DELAY_SECONDS)

            again = await self._take(mine, its, "early")
            assert asyncio.get_running_loop().time() - deferred_at >= DELAY_SECONDS_MIN
            assert (again.message, again.attempt) == (early.message, 2)
            await broker.ack(again)
            assert (await broker.depth()).total == 0

    @conformance_test
    async def test_a_dead_letter_lets_the_next_message_pass(self, broker: Broker) -> None:
        """One event that cannot be processed must not stop its workflow for ever."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as (mine, _, its):
            first = await self._receive(mine, "first")
            await self._assert_waits(its)

            await broker.dead_letter(first, "no handler accepts it")

            await self._take(mine, its, "second")

    @conformance_test
    async def test_a_message_of_an_ended_iteration_comes_first_again(self, broker: Broker) -> None:
        """The other process takes over in order."""
        await broker.publish([of_key("first"), of_key("second")])
        async with self._two(broker) as (mine, other, its):
            await self._receive(mine, "first")
            await self._assert_waits(its)

            await mine.aclose()

            await other.ack(await self._receive(its, "first"))
            await self._receive(its, "second")

    @conformance_test
    async def test_a_timer_neither_waits_nor_holds_back(self, broker: Broker) -> None:
        """A timeout must fire while the event before it is processed, or is delayed for long."""
        soon = utc_now() + timedelta(seconds=0.1)
        await broker.publish([of_key("first"), of_key("timer", due=soon)])
        async with self._two(broker) as (mine, _, its):
            first = await self._receive(mine, "first")
            await broker.ack(await self._take(mine, its, "timer"))

            await broker.ack(first)
            await broker.publish([of_key("second")])

            await self._take(mine, its, "second")

    @conformance_test
    async def test_messages_without_a_key_do_not_wait(self, broker: Broker) -> None:
        """A handler without memory works on several events of one workflow at the same time."""
        await broker.publish([encode_message(to_service(name)) for name in ("a", "b", "c")])
        async with aclosing(broker.deliveries([SERVICE])) as incoming:  # type: ignore[type-var]
            for name in ("a", "b", "c"):
                await self._receive(incoming, name)

    @conformance_test
    async def test_a_plain_message_of_another_program_waits_for_its_key(
        self, broker: Broker
    ) -> None:
        """Its key is the subject of the event."""
        await broker.publish([of_key("first")])
        async with self._two(broker) as (mine, _, its):
            first = await self._receive(mine, "first")
            await self.publish_plain(broker, event("plain"))
            await self.publish_plain(broker, event("stranger", "two"))
            await self.publish_plain(broker, event("last"))

            await broker.ack(await self._take(mine, its, "stranger"))
            await self._assert_waits(its)
            await broker.ack(first)
            await broker.ack(await self._take(mine, its, "plain"))
            await self._take(mine, its, "last")

    @conformance_test
    async def test_many_messages_of_a_busy_key_hold_back_no_other(self, broker: Broker) -> None:
        """One workflow with a long queue must not stop all others."""
        await broker.publish([of_key(f"m{number}") for number in range(300)])
        async with self._two(broker) as (mine, _, its):
            await self._receive(mine, "m0")
            await broker.publish([of_key("stranger", "two")])

            await self._take(mine, its, "stranger")

    @conformance_test
    async def test_many_consumers_settle_each_key_in_order(self, broker: Broker) -> None:
        """Whatever they do with what they receive: ack it, nack it, or end without settling it."""
        random = Random(7)  # noqa: S311 - no secret, and the same in each run
        rounds = [[of_key(f"{n}", f"run-{k}") for k in range(KEYS)] for n in range(EVENTS)]
        await broker.publish([message for messages in rounds for message in messages])
        acked: dict[str, list[str]] = {}
        all_acked = asyncio.Event()

        async def consume(broker: Broker) -> None:
            while True:
                async with aclosing(broker.deliveries([WORKFLOW])) as incoming:  # type: ignore[type-var]
                    async for delivery in incoming:
                        received = event_of(delivery)
                        await asyncio.sleep(random.uniform(0.0, 0.005))
                        choice = random.random()
                        if choice < 0.1:
                            break
                        if choice < 0.3:
                            await broker.nack(delivery, random.choice((0.0, 0.02)))
                            continue
                        acked.setdefault(received.subject, []).append(received.id)
                        await broker.ack(delivery)
                        if sum(map(len, acked.values())) >= KEYS * EVENTS:
                            all_acked.set()

        async with AsyncExitStack() as stack:
            brokers = [await stack.enter_async_context(self.session()) for _ in range(2)]
            consumers = [asyncio.create_task(consume(brokers[n % 2])) for n in range(CONSUMERS)]
            await self.eventually(all_acked.wait(), "all messages")
            for task in consumers:
                task.cancel()
            await asyncio.gather(*consumers, return_exceptions=True)

        assert list(acked.values()) == [[f"{n}" for n in range(EVENTS)]] * KEYS

    def _two(self, broker: Any) -> Any:
        return _TwoConsumers(self, broker)

    async def _receive(self, incoming: Any, name: str) -> EncodedDelivery:
        """Receive the message of this name as the next one."""
        delivery: EncodedDelivery = await self.eventually(anext(incoming), name)
        assert event_of(delivery).id == name
        return delivery

    async def _assert_waits(self, its: "_Incoming") -> None:
        """Fail if a consumer receives anything; it goes on waiting."""
        delivery = await its.wait(self.quiet_period)
        assert delivery is None, event_of(delivery)

    async def _take(self, mine: Any, its: Any, name: str) -> EncodedDelivery:
        """Receive the next message at either consumer."""
        waits = {asyncio.ensure_future(each.pending()) for each in (mine, its)}
        async with asyncio.timeout(self.timeout):
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits - done:
            each.cancel()
        deliveries: list[EncodedDelivery] = [each.result() for each in done]
        assert event_ids(deliveries) == [name]
        return deliveries[0]


class _Incoming:
    """An iteration of a broker. A wait that was given up goes on with the next one."""

    def __init__(self, incoming: Any) -> None:
        self._incoming = incoming
        self._next: asyncio.Task[EncodedDelivery] | None = None

    async def pending(self) -> EncodedDelivery:
        """Return the next delivery; when it is cancelled, the next call returns that delivery."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._incoming))
        delivery: EncodedDelivery = await asyncio.shield(self._next)
        self._next = None
        return delivery

    async def wait(self, seconds: float) -> EncodedDelivery | None:
        """Return the next delivery, or None after *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                return await self.pending()
        except TimeoutError:
            return None

    def __aiter__(self) -> AsyncIterator[EncodedDelivery]:
        return self

    async def __anext__(self) -> EncodedDelivery:
        return await self.pending()

    async def aclose(self) -> None:
        """End the iteration."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._incoming.aclose()


class _TwoConsumers:
    """A consumer of a broker, a second broker on the same server, and a consumer of that one."""

    def __init__(self, kit: KeyOrderConformance, broker: Any) -> None:
        self._kit, self._broker = kit, broker
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> tuple[_Incoming, Any, _Incoming]:
        other = await self._stack.enter_async_context(self._kit.session())
        mine = _Incoming(self._broker.deliveries([WORKFLOW]))
        its = _Incoming(other.deliveries([WORKFLOW]))
        for each in (mine, its):
            await self._stack.enter_async_context(aclosing(each))
        return mine, other, its

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


class OrderedPairConformance(BackendKit):
    """A pair whose broker passes `KeyOrderConformance`."""

    @conformance_test
    async def test_a_second_begin_at_another_process_sends_no_request_again(
        self, backend: Backend
    ) -> None:
        """That process does not know whether the first one has sent them."""
        requests = [to_service(name) for name in ("a", "b")]
        await backend.send(to_workflow("begin"))
        await backend.send(to_workflow("begin"))
        async with self.session() as other:
            for process, result in ((backend, Committed()), (other, Duplicate())):
                delivery = await self.eventually(process.receive(WORKFLOW), "a begin")
                commit = turn_commit(delivery, 1, messages=requests)
                assert await process.commit(delivery, commit, requests, []) == result

            for request in requests:
                delivery = await self.eventually(other.receive(SERVICE), "a request")
                assert delivery.message == request
                await other.ack(delivery)
            await self.never(other.receive(SERVICE), "a request that was sent twice")
