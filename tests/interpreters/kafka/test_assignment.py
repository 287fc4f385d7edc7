"""Assignment: what a process learns of the one that had its partitions before."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import uuid4

import pytest

from arvo import EncodedDelivery, KafkaBroker
from arvo.interpreters.kafka import consumer
from tests.interpreters.brokers import PAY, event_ids, message
from tests.interpreters.within import within
from tests.servers import kafka_servers


async def run_process(prefix: str, number: int, *, acks: int = 0) -> list[EncodedDelivery]:
    """Receive messages in a process of its own, as Kafka sees it, and ack the first *acks*."""
    broker = KafkaBroker(kafka_servers(), prefix, {"group.protocol": "consumer"})
    incoming = broker.deliveries([PAY])
    assert isinstance(incoming, AsyncGenerator)
    try:
        async with aclosing(incoming):
            deliveries: list[EncodedDelivery] = []
            while len(deliveries) < number:
                deliveries.append(await anext(incoming))
                if len(deliveries) <= acks:
                    await broker.ack(deliveries[-1])
            return deliveries
    finally:
        await broker.close()


def returns(deliveries: list[EncodedDelivery]) -> list[tuple[int, int]]:
    return [(delivery.attempt, delivery.returns) for delivery in deliveries]


@pytest.mark.promise("I11")
def test_after_a_death_the_messages_in_progress_count_as_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kafka does not mark them; the mark of the process that had the partition does."""
    prefix = uuid4().hex

    async def go() -> None:
        broker = KafkaBroker(kafka_servers(), prefix)
        await broker.publish([message(name) for name in ("c1", "c2", "c3")])
        await broker.close()

        # Also a process that has settled nothing, in a group that is new.
        with monkeypatch.context() as dies:
            dies.setattr(consumer, "hand_over", lambda *_: None)
            assert returns(await run_process(prefix, 3)) == [(1, 0)] * 3
        with monkeypatch.context() as dies:
            dies.setattr(consumer, "hand_over", lambda *_: None)
            assert returns(await run_process(prefix, 3)) == [(2, 1)] * 3

        # A process that stops hands the mark over with the messages that it has not settled.
        assert returns(await run_process(prefix, 3, acks=1)) == [(2, 1)] * 3
        last = await run_process(prefix, 2, acks=2)
        assert returns(last) == [(2, 1)] * 2
        assert len(set(event_ids(last))) == 2

        # These were published after the death.
        broker = KafkaBroker(kafka_servers(), prefix)
        await broker.publish([message(name) for name in ("c1", "c2", "c3")])
        await broker.close()
        assert returns(await run_process(prefix, 3)) == [(1, 0)] * 3
        assert returns(await run_process(prefix, 3)) == [(1, 0)] * 3

    within(go())


@pytest.mark.promise("I11")
def test_only_so_many_messages_count_as_a_process_may_have_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those behind them cannot have been in progress."""
    prefix = uuid4().hex

    async def go() -> None:
        broker = KafkaBroker(kafka_servers(), prefix)
        # With one subject, and so in one partition.
        await broker.publish([message("c1") for _ in range(5)])
        await broker.close()
        with monkeypatch.context() as dies:
            dies.setattr(consumer, "hand_over", lambda *_: None)
            await run_process(prefix, 1)

        monkeypatch.setattr(consumer, "OPEN_MAX", 2)
        monkeypatch.setattr(consumer, "BATCH_MAX", 1)
        assert returns(await run_process(prefix, 5, acks=5)) == [(2, 1)] * 3 + [(1, 0)] * 2

    within(go())
