"""Memory broker: the shortest true broker."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest

from arvo import Depth, EncodedMessage, MemoryBroker
from arvo.interpreters.ports.broker import MESSAGE_BYTES_MAX
from tests.interpreters.brokers import PAY, names, take
from tests.interpreters.runtime.crashes import Clock
from tests.shop import NOW, charging


def message(n: int, minutes: int | None = None) -> EncodedMessage:
    due = None if minutes is None else NOW + timedelta(minutes=minutes)
    return EncodedMessage(PAY, charging(f"c{n}"), due=due)


def test_first_in_is_first_out() -> None:
    """B02: the reference's queue is a stack."""

    async def go() -> list[str]:
        broker = MemoryBroker()
        await broker.publish([message(n) for n in range(4)])
        return names(await take(broker, 4))

    assert asyncio.run(go()) == ["c0", "c1", "c2", "c3"]


def test_what_an_iteration_leaves_behind_is_handed_out_again() -> None:
    """I1: the process that had it is gone; what it says later changes nothing."""

    async def go() -> tuple[list[str], Depth]:
        broker = MemoryBroker()
        await broker.publish([message(n) for n in range(3)])
        async with aclosing(broker.deliveries([PAY])) as incoming:
            lost, done = await anext(incoming), await anext(incoming)
            await broker.ack(done)
        async with aclosing(broker.deliveries([PAY])) as incoming:
            again = await anext(incoming)
            await broker.ack(lost)
            await broker.nack(lost, 0)
            await broker.dead_letter(lost, "late")
            return names([lost, done, again]), await broker.depth()

    assert asyncio.run(go()) == (["c0", "c1", "c0"], Depth(ready=1, taken=1))


def test_nothing_is_handed_out_before_its_time() -> None:
    """I7: neither what is due later, nor what shall come again after a delay."""

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
        found = await take(broker, 2)
        return names(found), [each.attempt for each in found]

    assert asyncio.run(go()) == (["c1", "c0"], [2, 1])


def test_a_message_comes_back_from_json() -> None:
    """For brokers that carry no more than a body."""
    said = message(1, minutes=5)

    assert EncodedMessage.parse(said.to_json()) == said


def test_a_message_that_is_too_long_is_not_parsed() -> None:
    """What comes from outside is bounded first."""
    with pytest.raises(ValueError, match="more than"):
        EncodedMessage.parse(" " * (MESSAGE_BYTES_MAX + 1))
