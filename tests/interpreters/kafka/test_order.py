"""Order: what a held message costs its partition, and where a deferred one goes, on Kafka."""

import asyncio
import sys
from contextlib import aclosing
from uuid import uuid4

import pytest
from attrs import evolve

from arvo import KafkaBroker
from arvo.interpreters.delivery.brokers.headers import KEY
from arvo.interpreters.delivery.brokers.ordering import NO_KEY
from arvo.interpreters.kafka import consumer
from arvo.testing.conformance.key_order import of_key
from arvo.testing.conformance.kit.samples import WORKFLOW
from tests.interpreters.brokers import event_of
from tests.interpreters.kafka.test_conformance import a_broker
from tests.interpreters.within import within

pytestmark = pytest.mark.promise("I4")


def test_a_long_deferral_goes_to_the_end_of_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the topic of delays; it then waits for its key like any other message."""
    monkeypatch.setattr(sys.modules[KafkaBroker.__module__], "DELAY_SECONDS_MAX", 0.0)

    async def go() -> list[tuple[str, int]]:
        broker = a_broker(uuid4().hex)
        seen = []
        await broker.publish([of_key("early"), of_key("begin")])
        async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
            await broker.defer(await anext(incoming), 0.3)
            begin = await anext(incoming)
            seen.append((event_of(begin).id, begin.attempt))
            # It is due and in its partition by then, and waits.
            waiting = asyncio.ensure_future(anext(incoming))
            assert not (await asyncio.wait([waiting], timeout=1.0))[0]
            await broker.ack(begin)
            early = await waiting
            seen.append((event_of(early).id, early.attempt))
            await broker.ack(early)
        await broker.close()
        return seen

    assert within(go()) == [("begin", 1), ("early", 2)]


def test_a_held_message_stops_its_partition_after_so_many_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a crash all of them would be delivered again. When it is settled, the others follow."""
    monkeypatch.setattr(consumer, "SPAN_MAX", 20)

    async def go() -> tuple[int, str]:
        broker = a_broker(uuid4().hex)
        async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
            await broker.publish([of_key("held")])
            held = await anext(incoming)
            waiting, number = asyncio.ensure_future(anext(incoming)), 0
            while True:
                # With one subject, and so in one partition, but it waits for no key.
                other = evolve(of_key(f"m{number}"), headers={KEY: NO_KEY})
                await broker.publish([other])
                # So many are delivered, however long a busy machine needs for one of them.
                seconds = None if number < 19 else 1.0
                if not (await asyncio.wait([waiting], timeout=seconds))[0]:
                    break
                await broker.ack(waiting.result())
                waiting, number = asyncio.ensure_future(anext(incoming)), number + 1
            await broker.ack(held)
            last = event_of(await waiting).id
        await broker.close()
        return number, last

    number, last = within(go())

    assert 19 <= number <= 25
    assert last == f"m{number}"
