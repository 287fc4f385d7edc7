"""Memory broker: the shortest correct broker."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest

from arvo import Depth, EncodedMessage, MemoryBroker
from tests.interpreters import brokers
from tests.interpreters.brokers import PAY, event_ids, receive
from tests.interpreters.crashes import Clock
from tests.shop import NOW


def message(number: int, minutes: int | None = None) -> EncodedMessage:
    due = None if minutes is None else NOW + timedelta(minutes=minutes)
    return brokers.message(f"c{number}", due)


def test_first_in_is_first_out() -> None:
    """B02: a queue, not a stack."""

    async def go() -> list[str]:
        broker = MemoryBroker()
        await broker.publish([message(n) for n in range(4)])
        return event_ids(await receive(broker, 4))

    assert asyncio.run(go()) == ["c0", "c1", "c2", "c3"]


@pytest.mark.promise("I1")
def test_unsettled_deliveries_of_an_ended_iteration_are_redelivered() -> None:
    """I1: the process that had them is gone, and settling them later changes nothing."""

    async def go() -> tuple[list[str], Depth]:
        broker = MemoryBroker()
        await broker.publish([message(n) for n in range(3)])
        async with aclosing(broker.deliveries([PAY])) as incoming:
            lost, acked = await anext(incoming), await anext(incoming)
            await broker.ack(acked)
        async with aclosing(broker.deliveries([PAY])) as incoming:
            redelivered = await anext(incoming)
            await broker.ack(lost)
            await broker.nack(lost, 0)
            await broker.dead_letter(lost, "late")
            return event_ids([lost, acked, redelivered]), await broker.depth()

    assert asyncio.run(go()) == (["c0", "c1", "c0"], Depth(ready=1, taken=1))


@pytest.mark.promise("I7")
def test_no_message_is_delivered_before_it_is_due() -> None:
    """I7: neither a timer nor a message that was nacked with a delay."""

    async def go() -> tuple[list[str], list[int]]:
        clock = Clock()
        broker = MemoryBroker(clock)
        await broker.publish([message(0, minutes=5), message(1), message(2)])
        async with aclosing(broker.deliveries([PAY])) as incoming:
            await broker.nack(await anext(incoming), 60)
            await broker.ack(await anext(incoming))
        assert await broker.depth() == Depth(delayed=1, timers=1)
        clock.now += timedelta(minutes=10)
        assert await broker.depth() == Depth(ready=2)
        deliveries = await receive(broker, 2)
        return event_ids(deliveries), [delivery.attempt for delivery in deliveries]

    assert asyncio.run(go()) == (["c1", "c0"], [2, 1])
