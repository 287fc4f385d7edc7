"""Order: queues by key change hands in order, within their bounds, on a real RabbitMQ server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import aio_pika
import pytest

from arvo import EncodedDelivery, EncodedMessage, RabbitBroker
from arvo.interpreters.delivery.brokers.ordering import order_of
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.rabbit import balance, connection, consumer, source
from arvo.interpreters.rabbit.queues import PARTITIONS
from arvo.testing.conformance.key_order import of_key
from arvo.testing.conformance.kit.samples import WORKFLOW, event
from tests.interpreters.brokers import event_ids, event_of, message
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.servers import rabbit_url

LONG_SECONDS = 600.0


@asynccontextmanager
async def a_broker(prefix: str = "", **settings: Any) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(rabbit_url(), prefix or uuid4().hex, **settings)
    try:
        yield broker
    finally:
        await broker.close()


async def take(broker: RabbitBroker, number: int, acks: int) -> list[str]:
    """Receive deliveries, ack the first of them, and end the iteration with the others in hand."""
    ids: list[str] = []
    async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
        while len(ids) < number:
            delivery = await anext(incoming)
            ids.append(event_of(delivery).id)
            if len(ids) > acks:
                break
            await broker.ack(delivery)
    return ids


@pytest.mark.promise("I1", "I4")
def test_an_ack_that_a_lost_connection_never_writes_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The driver waits for room in the queue of a writer that has ended; the key would wait too."""

    async def wait_for_room(_: aio_pika.IncomingMessage) -> None:
        await asyncio.get_running_loop().create_future()

    async def go() -> list[str]:
        async with a_broker() as broker, aclosing(broker.deliveries([WORKFLOW])) as incoming:
            await broker.publish([of_key("first"), of_key("second")])
            first = await anext(incoming)
            with monkeypatch.context() as patch:
                patch.setattr(connection, "CALL_SECONDS_MAX", 0.05)
                patch.setattr(aio_pika.IncomingMessage, "ack", wait_for_room)
                await broker.ack(first)
            second = await anext(incoming)
            await broker.ack(second)
            return [event_of(first).id, event_of(second).id]

    assert within(go()) == ["first", "second"]


@pytest.mark.promise("I4")
def test_several_deaths_change_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server puts returned messages behind those that were returned before and are there."""
    monkeypatch.setattr(consumer, "ORDERED_PREFETCH", 5)

    async def go() -> list[str]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            await one.publish([of_key(f"{n}") for n in range(20)])
            ids: list[str] = []
            for broker, acks in ((one, 3), (two, 0), (one, 4), (two, 1)):
                *acked, _ = await take(broker, 20, acks)
                ids += acked
            return ids + await take(one, 12, 12)

    assert within(go()) == [f"{n}" for n in range(20)]


def queue_number(run: str) -> int:
    return int(order_of(of_key("any", run)), 16) % PARTITIONS


@pytest.mark.promise("I4")
def test_a_queue_with_too_many_unsettled_messages_stops_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The memory of a process is bounded; the workflows of the other queues go on."""
    monkeypatch.setattr(consumer, "ORDERED_PREFETCH", 3)
    runs = [f"r{n}" for n in range(100)]
    busy = runs[0]
    neighbour = next(run for run in runs[1:] if queue_number(run) == queue_number(busy))
    stranger = next(run for run in runs if queue_number(run) != queue_number(busy))

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker() as broker:
            await broker.publish([of_key(f"busy-{n}", busy) for n in range(3)])
            await broker.publish([of_key("neighbour", neighbour), of_key("stranger", stranger)])
            async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                received = [await anext(incoming) for _ in range(2)]
                waiting = asyncio.ensure_future(anext(incoming))
                assert not (await asyncio.wait([waiting], timeout=0.3))[0]
                for delivery in received:
                    await broker.ack(delivery)
                received.append(await waiting)
                received.append(await anext(incoming))
            first, last = received[:2], received[2:]
            return sorted(event_ids(first)), sorted(event_ids(last))

    assert within(go()) == (["busy-0", "stranger"], ["busy-1", "neighbour"])


@pytest.mark.promise("I4")
def test_a_nacked_message_of_a_lost_connection_comes_first() -> None:
    """Its delay and its attempts end with its process."""

    async def go() -> list[tuple[str, int, int]]:
        async with a_broker() as broker, a_broker(broker.prefix) as other:
            await broker.publish([of_key("first"), of_key("second")])
            incoming = broker.deliveries([WORKFLOW])
            await broker.nack(await anext(incoming), LONG_SECONDS)
            await broker.close()
            received: list[EncodedDelivery] = []
            async with aclosing(other.deliveries([WORKFLOW])) as others:
                for _ in range(2):
                    received.append(await anext(others))
                    await other.ack(received[-1])
            with suppress(Exception):
                await incoming.aclose()
            return [(event_of(each).id, each.attempt, each.returns) for each in received]

    assert within(go()) == [("first", 2, 1), ("second", 2, 1)]


@pytest.mark.promise("I4")
def test_plain_messages_keep_their_order_through_two_processes() -> None:
    """One process forwards them, and the other one takes over where it ended."""

    async def go() -> list[str]:
        async with a_broker() as broker, a_broker(broker.prefix) as other:
            await broker.publish([of_key("first")])
            async with (
                await aio_pika.connect(rabbit_url()) as connection,
                connection.channel() as channel,
            ):
                for number in range(30):
                    plain: Any = aio_pika.Message(event(f"{number}").to_json().encode())
                    await channel.default_exchange.publish(plain, f"{broker.prefix}:{WORKFLOW}")
            *ids, _ = await take(broker, 40, 4)
            async with aclosing(other.deliveries([WORKFLOW])) as incoming:
                while ids[-1] != "29":
                    delivery = await anext(incoming)
                    ids.append(event_of(delivery).id)
                    await other.ack(delivery)
            # One may have been forwarded once more.
            return list(dict.fromkeys(ids))

    assert within(go()) == ["first", *(f"{number}" for number in range(30))]


@pytest.mark.promise("I4")
def test_a_process_that_joins_gets_queues_in_order() -> None:
    """The server alone would leave all of them to the first process."""
    runs = [f"r{n}" for n in range(24)]

    async def go() -> tuple[list[list[str]], int]:
        seen: dict[str, dict[str, None]] = {}
        workers: set[RabbitBroker] = set()

        async def work(broker: RabbitBroker) -> None:
            async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                async for delivery in incoming:
                    received = event_of(delivery)
                    workers.add(broker)
                    await asyncio.sleep(0.001)
                    # A message that moves with its queue after its ack is a duplicate.
                    seen.setdefault(received.subject, {}).setdefault(received.id)
                    await broker.ack(delivery)

        async with a_broker() as one, a_broker(one.prefix) as two, a_broker(one.prefix) as three:
            tasks, number = [asyncio.ensure_future(work(one))], 0
            for joining in (two, three, None):
                # Enough rounds that each queue has messages while it moves.
                while len(workers) < len(tasks) or number % 5:
                    await one.publish([of_key(f"{number}", run) for run in runs])
                    number += 1
                if joining is not None:
                    tasks.append(asyncio.ensure_future(work(joining)))
            total = number * len(runs)
            await until(lambda: sum(map(len, seen.values())) == total)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [list(ids) for ids in seen.values()], number

    ids, number = within(go(), 120)

    assert ids == [[f"{n}" for n in range(number)]] * len(runs)


@pytest.mark.promise("I4")
def test_a_queue_with_a_message_that_is_put_off_stays_where_it_is() -> None:
    """Its delay and attempts would end; the workflows of that queue go on meanwhile."""

    async def go() -> tuple[str, int]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            await one.publish([of_key("first"), of_key("second")])
            async with (
                aclosing(one.deliveries([WORKFLOW])) as mine,
                aclosing(two.deliveries([WORKFLOW])) as others,
            ):
                await one.nack(await anext(mine), 3.0)
                waiting = asyncio.ensure_future(anext(others))
                again = await anext(mine)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            return event_of(again).id, again.attempt

    assert within(go()) == ("first", 2)


@pytest.mark.promise("I4")
def test_a_message_for_another_process_moves_with_its_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server alone would leave the queue to the process that lacks its version."""
    monkeypatch.setattr(balance, "DRAIN_SECONDS_MAX", 0.2)
    runs = [f"r{n}" for n in range(100)]
    neighbour = next(run for run in runs[1:] if queue_number(run) == queue_number(runs[0]))

    async def go() -> list[tuple[str, int]]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            await one.publish([of_key("put off", neighbour)])
            async with aclosing(one.deliveries([WORKFLOW])) as mine:
                # Its delay ends: it must not keep the other workflow here.
                await one.nack(await anext(mine), LONG_SECONDS)
                await one.publish([of_key("first", runs[0]), of_key("second", runs[0])])
                await one.pass_on(await anext(mine), 0.0)
                received: list[EncodedDelivery] = []
                async with aclosing(two.deliveries([WORKFLOW])) as others:
                    while len(received) < 3:
                        received.append(await anext(others))
                        await two.ack(received[-1])
            return [(event_of(each).id, each.attempt - each.returns) for each in received]

    assert within(go()) == [("put off", 1), ("first", 1), ("second", 1)]


@pytest.mark.promise("I8")
def test_a_message_that_is_passed_on_comes_back_where_no_other_process_is() -> None:
    """It must not wait for a process that never comes."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            await broker.publish([of_key("first"), of_key("second")])
            async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                ids = []
                for settle in (broker.pass_on, broker.pass_on, broker.nack):
                    delivery = await anext(incoming)
                    ids.append(event_of(delivery).id)
                    await settle(delivery, 0.0)
                for _ in range(2):
                    delivery = await anext(incoming)
                    ids.append(event_of(delivery).id)
                    await broker.ack(delivery)
            return ids

    assert within(go()) == ["first", "first", "first", "first", "second"]


@pytest.mark.promise("I2")
@pytest.mark.parametrize("is_ordered", [True, False])
def test_an_ack_before_the_end_of_an_iteration_is_not_forgotten(is_ordered: bool) -> None:
    """A quorum queue ignores acks that come just before the end of their channel."""
    size = 200
    runs = [run for run in map(str, range(10_000)) if queue_number(run) == 0][:size]

    def make(number: int) -> EncodedMessage:
        return of_key(f"{number}", runs[number % size]) if is_ordered else message(f"{number}")

    async def go() -> set[int]:
        async with a_broker(prefetch=size) as broker:
            attempts = set()
            for batch in range(5):
                await broker.publish([make(size * batch + number) for number in range(size)])
                async with aclosing(broker.deliveries([make(0).queue])) as incoming:
                    received = [await anext(incoming) for _ in range(size)]
                    for delivery in received:
                        attempts.add(delivery.attempt)
                        await broker.ack(delivery)
            return attempts

    assert within(go()) == {1}


@pytest.mark.promise("I4")
def test_a_process_that_was_frozen_while_a_queue_left_keeps_its_other_deliveries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If a channel were closed twice, the server would close the connection: other processes would
    get all deliveries that this one has in hand, and make their calls again.
    """
    monkeypatch.setattr(connection, "CLOSE_SECONDS_MAX", 0.0)
    monkeypatch.setattr(source, "STAY_SECONDS_MIN", 0.0)
    runs = [f"r{n}" for n in range(100)]
    other_run = next(run for run in runs if queue_number(run) != queue_number(runs[0]))

    async def go() -> list[tuple[str, int]]:
        async with a_broker() as broker:
            await broker.publish([of_key("in hand", runs[0]), of_key("passed on", other_run)])
            async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                received = {
                    event_of(each).id: each for each in [await anext(incoming) for _ in "ab"]
                }
                # As short as if a freeze had been longer than it.
                transport: Any = (await broker._connection._connected()).transport
                transport.connection.connection_tune.heartbeat = 5e-4
                await broker.pass_on(received["passed on"], 0.0)
                again = await anext(incoming)
                await broker.ack(again)
                await broker.ack(received["in hand"])
                await broker.publish([of_key("next", runs[0])])
                after = await anext(incoming)
                return [(event_of(each).id, each.attempt) for each in (again, after)]

    assert within(go()) == [("passed on", 2), ("next", 1)]


@pytest.mark.promise("I4")
def test_all_copies_of_a_timer_go_to_one_process() -> None:
    """Two processes that have a timer of one workflow would both make its calls."""

    async def go() -> list[set[bool]]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            receivers: dict[str, list[bool]] = {f"{n}": [] for n in range(20)}
            got_all = asyncio.Event()

            async def consume(broker: RabbitBroker) -> None:
                async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                    async for delivery in incoming:
                        # Not acked, so no queue moves and nothing is redelivered.
                        receivers[event_of(delivery).id].append(broker is one)
                        if all(len(each) == 2 for each in receivers.values()):
                            got_all.set()

            await one.publish([of_key(run, run, utc_now()) for run in receivers for _ in "ab"])
            consuming = [asyncio.create_task(consume(broker)) for broker in (one, two)]
            await got_all.wait()
            for task in consuming:
                task.cancel()
            await asyncio.gather(*consuming, return_exceptions=True)
            return list(map(set, receivers.values()))

    assert all(len(each) == 1 for each in within(go()))


@pytest.mark.promise("I4", "I7")
def test_a_timer_does_not_wait_for_an_event_of_its_workflow_that_is_put_off() -> None:
    """It comes at its time, and a nack of it holds back no event either."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            await broker.publish([of_key("put off"), of_key("behind")])
            async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                await broker.nack(await anext(incoming), LONG_SECONDS)
                await broker.publish([of_key("timer", due=utc_now())])
                ids = []
                for delay in (0.0, LONG_SECONDS):
                    timer = await anext(incoming)
                    ids.append(f"{event_of(timer).id} {timer.attempt}")
                    await broker.nack(timer, delay)
                await broker.publish([of_key("other", "another run")])
                return [*ids, event_of(await anext(incoming)).id]

    assert within(go()) == ["timer 1", "timer 2", "other"]
