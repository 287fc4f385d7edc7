"""Broker: rebalances, delays and unreadable messages, on a cluster in this process."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from arvo import EncodedDelivery, EncodedMessage, KafkaBroker, Runtime, Stats, TooLarge, Unavailable
from arvo.core.record import Status
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.kafka import broker as from_url
from arvo.interpreters.kafka import consumer, producer, queue
from tests.interpreters.brokers import (
    PAY,
    encode,
    event_ids,
    event_of,
    final_states,
    message,
    receive,
    receive_through_pair,
)
from tests.interpreters.within import within
from tests.logged import logged
from tests.servers import kafka_servers, redis
from tests.shop import charge_request, order_request, shop

QUICK = {"group.protocol": "consumer"}


def of_one_run(name: str) -> EncodedMessage:
    """Make a message of one workflow, so that all of them share a partition."""
    return encode(evolve(charge_request(name), subject="run"))


@asynccontextmanager
async def a_broker(prefix: str = "", **settings: Any) -> AsyncIterator[KafkaBroker]:
    broker = KafkaBroker(kafka_servers(), prefix or uuid4().hex, {**QUICK, **settings})
    try:
        yield broker
    finally:
        await broker.close()


def write(topic: str, value: bytes | None, headers: Any = None) -> None:
    """Write a message as another program does."""
    client = Producer({"bootstrap.servers": kafka_servers()})
    client.produce(topic, value, "key", headers=headers)
    client.flush(10)


def read(topic: str, number: int) -> list[Any]:
    """Read messages as another program does, without a group, which would have to form first."""
    settings = {"group.id": uuid4().hex, "auto.offset.reset": "earliest", **QUICK}
    client = Consumer({"bootstrap.servers": kafka_servers(), **settings})
    deadline = time.monotonic() + 30.0
    # The topic does not exist until a message is written to it.
    while not (partitions := client.list_topics(topic, 10).topics[topic].partitions):
        assert time.monotonic() < deadline, f"no message was written to {topic}"
        time.sleep(0.05)
    client.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    records: list[Any] = []
    while len(records) < number and time.monotonic() < deadline:
        records += client.consume(number - len(records), 0.2)
    client.close()
    return records


def test_a_rebalance_redelivers_no_settled_message() -> None:
    """A second process joins: a partition waits for messages in work, and moves with the rest."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            await one.publish([message(f"c{n}") for n in range(60)])
            ids: dict[KafkaBroker, list[str]] = {one: [], two: []}
            first_received, all_received = asyncio.Event(), asyncio.Event()

            async def work(broker: KafkaBroker) -> None:
                async with aclosing(broker.deliveries([PAY])) as incoming:
                    async for delivery in incoming:
                        ids[broker].append(event_of(delivery).id)
                        first_received.set()
                        await asyncio.sleep(0.15)
                        await broker.ack(delivery)
                        if len(ids[one]) + len(ids[two]) >= 60:
                            all_received.set()

            works = [asyncio.ensure_future(work(one))]
            await first_received.wait()
            works.append(asyncio.ensure_future(work(two)))
            await all_received.wait()
            for task in works:
                task.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            return ids[one], ids[two]

    one, two = within(go())

    assert sorted(one + two) == sorted(f"c{n}" for n in range(60))
    assert two


@pytest.mark.promise("I6")
def test_settling_after_a_revocation_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """I6: the worker was too slow, and the partition belongs to another process."""
    monkeypatch.setattr(consumer, "GRACE_SECONDS", 0.1)

    async def go() -> tuple[set[str], set[str]]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            await one.publish([message(f"c{n}") for n in range(20)])
            async with aclosing(one.deliveries([PAY])) as incoming:
                received = [await anext(incoming) for _ in range(20)]
                async with aclosing(two.deliveries([PAY])) as others:
                    first = await anext(others)
                    lost = [d for d in received if not d.token.queue.owns(d)]
                    for delivery in received:
                        await one.ack(delivery)
                        await one.nack(delivery, 0)
                        await one.dead_letter(delivery, "late")
                    moved = [first, *[await anext(others) for _ in range(len(lost) - 1)]]
            redelivered = await receive(one, len(moved))
            assert set(event_ids(redelivered)) == set(event_ids(moved))
            return set(event_ids(lost)), set(event_ids(moved))

    lost, moved = within(go())

    assert lost == moved
    assert 0 < len(lost) < 20


def test_only_offsets_before_the_first_open_message_are_committed() -> None:
    """Kafka stores one offset for a partition: settled messages after it are redelivered."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker() as broker:
            same = [of_one_run(f"c{n}") for n in range(4)]
            await broker.publish(same)
            async with aclosing(broker.deliveries([PAY])) as incoming:
                received = [await anext(incoming) for _ in range(4)]
                for number in (0, 2, 3):
                    await broker.ack(received[number])
            redelivered = await receive(broker, 3)
            await broker.publish([of_one_run("last")])
            return event_ids(redelivered), event_ids(await receive(broker))

    assert within(go()) == (["c1", "c2", "c3"], ["last"])


def test_a_long_delay_is_written_to_a_topic_and_delays_no_other_message() -> None:
    """In memory it would block all commits of its partition for an hour."""

    async def go() -> tuple[list[str], list[tuple[str, str]]]:
        async with a_broker() as broker:
            same = [of_one_run(f"c{n}") for n in range(2)]
            due = utc_now() + timedelta(hours=1)
            later = encode(event_of(EncodedDelivery(same[0])), due=due)
            await broker.publish([*same, later])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.nack(await anext(incoming), 3600)
                await broker.ack(await anext(incoming))
            await broker.publish([of_one_run("last")])
            ids = event_ids(await receive(broker))
            topic = f"{broker.prefix}.{PAY}_later"
            records = await asyncio.to_thread(read, topic, 2)
            headers = [{k: v.decode() for k, v in record.headers()} for record in records]
            return ids, [(each["arvo-attempt"], each.get("arvo-due", "none")) for each in headers]

    ids, delayed = within(go())

    assert ids == ["last"]
    assert [attempt for attempt, _ in delayed] == ["1", "2"]
    assert [due == "none" for _, due in delayed] == [False, True]


def test_a_delayed_message_is_written_again_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The topic may drop its oldest messages; the message is delivered once, when it is due."""
    monkeypatch.setattr(queue, "WAIT_SECONDS_MAX", 0.2)

    async def go() -> tuple[list[str], bool, int]:
        async with a_broker() as broker:
            # Long enough for a group to form on a busy machine, and for two writes after that.
            due = utc_now() + timedelta(seconds=5)
            await broker.publish([message("c1", due=due)])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                delivery = await anext(incoming)
                is_due = utc_now() >= due
                await broker.ack(delivery)
            await broker.publish([message("c2")])
            ids = event_ids([delivery, *await receive(broker)])
            topic = f"{broker.prefix}.{PAY}_later"
            return ids, is_due, len(await asyncio.to_thread(read, topic, 2))

    assert within(go()) == (["c1", "c2"], True, 2)


def test_a_partition_with_too_many_open_messages_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages stay in Kafka until others are settled, and arrive after that."""
    monkeypatch.setattr(consumer, "OPEN_MAX", 5)
    monkeypatch.setattr(consumer, "BATCH_MAX", 2)

    async def go() -> tuple[int, list[str]]:
        async with a_broker() as broker:
            await broker.publish([of_one_run(f"c{n}") for n in range(50)])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                received = [await anext(incoming)]
                waiting = asyncio.ensure_future(anext(incoming))
                while (await asyncio.wait([waiting], timeout=1))[0]:
                    received.append(waiting.result())
                    waiting = asyncio.ensure_future(anext(incoming))
                number = len(received)
                for delivery in received:
                    await broker.ack(delivery)
                received.append(await waiting)
                await broker.ack(received[-1])
                while len(received) < 50:
                    received.append(await anext(incoming))
                    await broker.ack(received[-1])
            return number, event_ids(received)

    number, ids = within(go())

    assert 5 <= number <= 10
    assert ids == [f"c{n}" for n in range(50)]


def test_other_programs_read_and_write_plain_cloudevents() -> None:
    """The value is the event, the content type names it, and headers of Arvo are optional."""

    async def go() -> tuple[Any, list[str], int]:
        async with a_broker() as broker:
            topic = f"{broker.prefix}.{PAY}"
            await broker.publish([message("ours")])
            [ours] = await asyncio.to_thread(read, topic, 1)
            await asyncio.to_thread(write, topic, charge_request("theirs").to_json().encode())
            deliveries = await receive(broker, 2)
            return ours, sorted(event_ids(deliveries)), deliveries[1].attempt

    ours, ids, attempt = within(go())

    assert ours.value().decode() == charge_request("ours").to_json()
    assert dict(ours.headers())["content-type"] == b"application/cloudevents+json; charset=UTF-8"
    assert (ids, attempt) == (["ours", "theirs"], 1)


@pytest.mark.promise("I8")
def test_unreadable_messages_are_dead_lettered_with_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I8: they would never become readable, and must not stop the others."""

    async def go() -> tuple[list[str], list[Any]]:
        async with a_broker() as broker:
            broker.quiet_seconds = 2.0
            topic, event = f"{broker.prefix}.{PAY}", charge_request("odd").to_json().encode()
            await broker.publish([message("first")])
            for value, headers in (
                (b"no JSON", None),
                (None, None),
                (event, [("arvo-key", b"\xff")]),
                (event, [("arvo-until", b"tomorrow")]),
                (event, [("arvo-attempt", b"0")]),
            ):
                await asyncio.to_thread(write, topic, value, headers)
            await broker.publish([message("good")])
            ids = await receive_through_pair(broker, 2)
            return sorted(ids), await asyncio.to_thread(read, f"{topic}_dead", 5)

    ids, dead_letters = within(go())

    assert ids == ["first", "good"]
    assert {record.value() for record in dead_letters} >= {b"no JSON"}
    assert len(dead_letters) == 5
    assert all(dict(record.headers())["arvo-reason"] for record in dead_letters)
    assert len(logged(caplog.records, "dead letter stored")) == 5


def test_dead_letters_have_a_topic_with_their_reasons() -> None:
    """For tools of an operator; the pair has stored the dead letter by then."""

    async def go() -> dict[str, bytes]:
        async with a_broker() as broker:
            await broker.publish([message("c1")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.dead_letter(await anext(incoming), "no handler")
            [record] = await asyncio.to_thread(read, f"{broker.prefix}.{PAY}_dead", 1)
            return dict(record.headers())

    assert within(go())["arvo-reason"] == b"no handler"


def test_every_address_has_a_topic_of_its_own() -> None:
    """The name of a topic is short and allows few characters; an address has no such limits."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            odd = ["(outbound)", "com.a/b_c~é", "com." + "x" * 500 + "1", "com." + "x" * 500 + "2"]
            await broker.publish([encode(charge_request(f"c{name[-1]}"), name) for name in odd])
            deliveries = []
            for name in odd:
                async with aclosing(broker.deliveries([name])) as incoming:
                    deliveries.append(await anext(incoming))
            return event_ids(deliveries)

    assert within(go()) == ["c)", "cé", "c1", "c2"]


def test_errors_tell_whether_waiting_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exception of the driver leaves the adapter."""
    monkeypatch.setattr(producer, "CALL_SECONDS_MAX", 1.0)

    async def go() -> None:
        unreachable = KafkaBroker("127.0.0.1:1", settings={"log_level": 0})
        with pytest.raises(Unavailable):
            await unreachable.publish([message("c1")])
        with pytest.raises(Unavailable):
            await receive(unreachable)
        await unreachable.close()
        small: dict[str, Any] = {"message.max.bytes": 1_000}
        async with a_broker(**small) as broker:
            large = evolve(charge_request("c1"), source="com." + "x" * 2_000)
            with pytest.raises(TooLarge, match=r"raise message\.max\.bytes"):
                await broker.publish([encode(large)])

    within(go())


def test_a_message_that_headers_make_too_large_can_be_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The dead-letter topic may get no copy, and a long delay is held in memory, from where
    another process takes it over.
    """
    monkeypatch.setattr(sys.modules[KafkaBroker.__module__], "DELAY_SECONDS_MAX", 0.1)

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker() as broker:
            long = evolve(charge_request("dead"), source="com." + "x" * 2_000)
            await broker.publish([encode(long), encode(evolve(long, id="later"))])
            small: dict[str, Any] = {"message.max.bytes": 1_000}
            async with (
                a_broker(broker.prefix, **small) as less,
                aclosing(less.deliveries([PAY])) as incoming,
            ):
                received = [await anext(incoming) for _ in range(2)]
                await less.dead_letter(received[0], "no handler")
                await less.nack(received[1], 0.5)
                assert not any(map(less._queues[PAY].owns, received))
            await broker.publish([message("last")])
            return event_ids(received), sorted(event_ids(await receive(broker, 2)))

    assert within(go()) == (["dead", "later"], ["last", "later"])


def test_a_url_has_servers_and_settings_and_no_password_is_printed() -> None:
    """A password among the settings must not reach a log."""
    made = from_url("kafka://a:9092,b:9092?security.protocol=SASL_SSL&sasl.password=secret")

    assert made.servers == "a:9092,b:9092"
    assert made.settings == {"security.protocol": "SASL_SSL", "sasl.password": "secret"}
    assert "secret" not in repr(made)


def test_the_shop_runs_on_redis_and_kafka() -> None:
    """Two URLs make a pair, here with the older group protocol, which is the default."""
    memory = redis()
    memory.start()

    async def go() -> tuple[list[tuple[Status, int]], Stats]:
        async with Runtime(shop, f"{memory.url} kafka://{kafka_servers()}") as runtime:
            events = [order_request(f"i{n}") for n in range(60)]
            await asyncio.gather(*map(runtime.send, events))
            stats = await runtime.drain(timeout=40)
            return await final_states(runtime, events), stats

    try:
        states, stats = within(go())
    finally:
        memory.stop()

    assert states == [("done", 3)] * 60
    assert (stats.handled, stats.dead_lettered, stats.failed) == (300, 0, 0)
