"""Assignment: what a process learns of the one that had its partitions before."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import uuid4

import pytest

from arvo import EncodedDelivery, KafkaBroker
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.kafka import consumer, partition
from arvo.interpreters.paired.documents.codec import encode_message
from arvo.testing.conformance.key_order import of_key
from arvo.testing.conformance.kit.samples import SERVICE, WORKFLOW, to_service
from tests.interpreters.brokers import PAY, event_ids, message
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.servers import kafka_servers

DELAY_SECONDS = 2.0


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


@pytest.mark.promise("I4")
@pytest.mark.parametrize("dies", [False, True])
def test_a_nacked_message_keeps_its_delay_and_attempts_at_the_next_process(
    dies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stored beside the committed offset, and a death is not a failure of the message."""
    prefix = uuid4().hex

    async def go() -> None:
        broker = KafkaBroker(kafka_servers(), prefix, {"group.protocol": "consumer"})
        await broker.publish([of_key("first"), of_key("second")])
        with monkeypatch.context() as patch:
            async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                await broker.nack(await anext(incoming), 0.0)
                again = await anext(incoming)
                nacked_at = utc_now()
                await broker.nack(again, DELAY_SECONDS)
                [first] = broker._queues[WORKFLOW]._partitions
                await until(lambda: first.committed == first.position)
                if dies:
                    patch.setattr(consumer, "hand_over", lambda *_: None)
        received = []
        async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
            for _ in range(2):
                received.append(await anext(incoming))
                if len(received) == 1:
                    assert (utc_now() - nacked_at).total_seconds() >= DELAY_SECONDS - 0.01
                await broker.ack(received[-1])
        await broker.close()

        assert event_ids(received) == ["first", "second"]
        returned = int(dies)
        assert returns(received) == [(3 + returned, returned), (1 + returned, returned)]

    within(go())


def test_more_messages_than_the_text_holds_are_delivered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kafka limits the text. The order of each workflow does not depend on it."""
    monkeypatch.setattr(partition, "HELD_MAX", 2)
    prefix = uuid4().hex

    async def go() -> None:
        broker = KafkaBroker(kafka_servers(), prefix, {"group.protocol": "consumer"})
        await broker.publish([encode_message(to_service(f"m{n}")) for n in range(4)])
        async with aclosing(broker.deliveries([SERVICE])) as incoming:
            for _ in range(4):
                await broker.nack(await anext(incoming), 20.0)
        async with aclosing(broker.deliveries([SERVICE])) as incoming:
            received = [await anext(incoming) for _ in range(2)]
        await broker.close()

        assert event_ids(received) == ["m2", "m3"]
        assert returns(received) == [(1, 0), (1, 0)]

    within(go())
