"""Broker: partitions that change hands, delays and garbage, against a cluster in this process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from arvo import EncodedMessage, KafkaBroker, Runtime, Stats, TooLarge, Unavailable
from arvo.core.record import Status
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.kafka import broker as from_url
from arvo.interpreters.kafka import consumer as reader
from arvo.interpreters.kafka import producer as writer
from arvo.interpreters.kafka import queue
from tests.interpreters.brokers import PAY, ended, message, names, take
from tests.interpreters.within import within
from tests.servers import kafka_servers, redis
from tests.shop import charging, placing, shop

QUICK = {"group.protocol": "consumer"}


def of_one_run(name: str) -> EncodedMessage:
    """Make a message that shares its partition with others of its kind."""
    return EncodedMessage(PAY, evolve(charging(name), subject="run"))


@asynccontextmanager
async def a_broker(prefix: str = "", **settings: Any) -> AsyncIterator[KafkaBroker]:
    broker = KafkaBroker(kafka_servers(), prefix or uuid4().hex, {**QUICK, **settings})
    try:
        yield broker
    finally:
        await broker.close()


def written(topic: str, value: bytes | None, headers: Any = None) -> None:
    """Write as another program does."""
    producer = Producer({"bootstrap.servers": kafka_servers()})
    producer.produce(topic, value, "key", headers=headers)
    producer.flush(10)


def read(topic: str, number: int) -> list[Any]:
    """Read as another program does; of no group, which would first have to be formed."""
    settings = {"group.id": uuid4().hex, "auto.offset.reset": "earliest", **QUICK}
    consumer = Consumer({"bootstrap.servers": kafka_servers(), **settings})
    deadline = time.monotonic() + 30.0
    # There is no topic until something was written to it.
    while not (partitions := consumer.list_topics(topic, 10).topics[topic].partitions):
        assert time.monotonic() < deadline, f"nothing was written to {topic}"
        time.sleep(0.05)
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
    found: list[Any] = []
    while len(found) < number and time.monotonic() < deadline:
        found += consumer.consume(number - len(found), 0.2)
    consumer.close()
    return found


def test_what_is_settled_while_partitions_change_hands_is_not_handed_out_again() -> None:
    """A second process comes: what is being worked on is waited for, the rest goes along."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            await one.publish([message(f"c{n}") for n in range(60)])
            found: dict[KafkaBroker, list[str]] = {one: [], two: []}
            first_here, all_here = asyncio.Event(), asyncio.Event()

            async def work(broker: KafkaBroker) -> None:
                async with aclosing(broker.deliveries([PAY])) as incoming:
                    async for delivery in incoming:
                        found[broker].append(delivery.message.event.id)
                        first_here.set()
                        await asyncio.sleep(0.15)
                        await broker.ack(delivery)
                        if len(found[one]) + len(found[two]) >= 60:
                            all_here.set()

            works = [asyncio.ensure_future(work(one))]
            await first_here.wait()
            works.append(asyncio.ensure_future(work(two)))
            await all_here.wait()
            for each in works:
                each.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            return found[one], found[two]

    one, two = within(go())

    assert sorted(one + two) == sorted(f"c{n}" for n in range(60))
    assert two


def test_what_is_held_for_too_long_is_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    """I6: its partition was taken away, and to settle it changes nothing."""
    monkeypatch.setattr(reader, "GRACE_SECONDS", 0.1)

    async def go() -> tuple[set[str], set[str]]:
        async with a_broker() as one, a_broker(one.prefix) as two:
            await one.publish([message(f"c{n}") for n in range(20)])
            async with aclosing(one.deliveries([PAY])) as incoming:
                held = [await anext(incoming) for _ in range(20)]
                async with aclosing(two.deliveries([PAY])) as others:
                    first = await anext(others)
                    lost = [each for each in held if not each.token.queue.is_ours(each)]
                    for each in held:
                        await one.ack(each)
                        await one.nack(each, 0)
                        await one.dead_letter(each, "late")
                    moved = [first, *[await anext(others) for _ in range(len(lost) - 1)]]
            again = await take(one, len(moved))
            assert set(names(again)) == set(names(moved))
            return set(names(lost)), set(names(moved))

    lost, moved = within(go())

    assert lost == moved
    assert 0 < len(lost) < 20


def test_only_what_lies_before_the_first_that_is_open_is_committed() -> None:
    """Kafka knows one number for a partition: what came after it may come twice."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker() as broker:
            same = [of_one_run(f"c{n}") for n in range(4)]
            await broker.publish(same)
            async with aclosing(broker.deliveries([PAY])) as incoming:
                found = [await anext(incoming) for _ in range(4)]
                for number in (0, 2, 3):
                    await broker.ack(found[number])
            again = await take(broker, 3)
            await broker.publish([of_one_run("last")])
            return names(again), names(await take(broker))

    assert within(go()) == (["c1", "c2", "c3"], ["last"])


def test_what_waits_for_long_is_written_down_and_keeps_no_other() -> None:
    """An hour in memory would be an hour in which nothing is committed."""

    async def go() -> tuple[list[str], list[tuple[str, str]]]:
        async with a_broker() as broker:
            same = [of_one_run(f"c{n}") for n in range(2)]
            later = evolve(same[0], due=utc_now() + timedelta(hours=1))
            await broker.publish([*same, later])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.nack(await anext(incoming), 3600)
                await broker.ack(await anext(incoming))
            await broker.publish([of_one_run("last")])
            found = names(await take(broker))
            topic = f"{broker.prefix}.{PAY}_later"
            records = await asyncio.to_thread(read, topic, 2)
            said = [{k: v.decode() for k, v in each.headers()} for each in records]
            return found, [(each["arvo-attempt"], each.get("arvo-due", "none")) for each in said]

    found, waiting = within(go())

    assert found == ["last"]
    assert [attempt for attempt, _ in waiting] == ["1", "2"]
    assert [due == "none" for _, due in waiting] == [False, True]


def test_what_waits_is_written_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the topic may forget its beginning; and it comes when it is due, once."""
    monkeypatch.setattr(queue, "WAIT_SECONDS_MAX", 0.2)

    async def go() -> tuple[list[str], bool, int]:
        async with a_broker() as broker:
            # Long enough for a group to form on a busy machine, and for two writes after that.
            due = utc_now() + timedelta(seconds=5)
            await broker.publish([evolve(message("c1"), due=due)])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                delivery = await anext(incoming)
                in_time = utc_now() >= due
                await broker.ack(delivery)
            await broker.publish([message("c2")])
            found = names([delivery, *await take(broker)])
            topic = f"{broker.prefix}.{PAY}_later"
            return found, in_time, len(await asyncio.to_thread(read, topic, 2))

    assert within(go()) == (["c1", "c2"], True, 2)


def test_no_more_is_fetched_than_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody settles stays in Kafka, and the rest comes when there is room."""
    monkeypatch.setattr(reader, "OPEN_MAX", 5)
    monkeypatch.setattr(reader, "BATCH_MAX", 2)

    async def go() -> tuple[int, list[str]]:
        async with a_broker() as broker:
            await broker.publish([of_one_run(f"c{n}") for n in range(50)])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                held = [await anext(incoming)]
                waiting = asyncio.ensure_future(anext(incoming))
                while (await asyncio.wait([waiting], timeout=1))[0]:
                    held.append(waiting.result())
                    waiting = asyncio.ensure_future(anext(incoming))
                number = len(held)
                for each in held:
                    await broker.ack(each)
                held.append(await waiting)
                await broker.ack(held[-1])
                while len(held) < 50:
                    held.append(await anext(incoming))
                    await broker.ack(held[-1])
            return number, names(held)

    number, found = within(go())

    assert 5 <= number <= 10
    assert found == [f"c{n}" for n in range(50)]


def test_other_programs_read_and_write_plain_cloudevents() -> None:
    """The value is the event, its content type says so, and no header of ours is needed."""

    async def go() -> tuple[Any, list[str], int]:
        async with a_broker() as broker:
            topic = f"{broker.prefix}.{PAY}"
            await broker.publish([message("ours")])
            [ours] = await asyncio.to_thread(read, topic, 1)
            await asyncio.to_thread(written, topic, charging("theirs").to_json().encode())
            found = await take(broker, 2)
            return ours, sorted(names(found)), found[1].attempt

    ours, found, attempt = within(go())

    assert ours.value().decode() == message("ours").event.to_json()
    assert dict(ours.headers())["content-type"] == b"application/cloudevents+json; charset=UTF-8"
    assert (found, attempt) == (["ours", "theirs"], 1)


def test_what_is_no_message_is_put_aside_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I8: it would never be one, and must stop nobody."""

    async def go() -> tuple[list[str], list[Any]]:
        async with a_broker() as broker:
            topic, event = f"{broker.prefix}.{PAY}", charging("odd").to_json().encode()
            await broker.publish([message("first")])
            for value, headers in (
                (b"no JSON", None),
                (None, None),
                (event, [("arvo-key", b"\xff")]),
                (event, [("arvo-until", b"tomorrow")]),
                (event, [("arvo-attempt", b"0")]),
            ):
                await asyncio.to_thread(written, topic, value, headers)
            await broker.publish([message("good")])
            found = names(await take(broker, 2))
            async with aclosing(broker.deliveries([PAY])) as incoming:
                # Those that nobody had looked at when we left, and nothing else.
                waiting = asyncio.ensure_future(anext(incoming))
                dead = await asyncio.to_thread(read, f"{topic}_dead", 5)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            return sorted(found), dead

    found, dead = within(go())

    assert found == ["first", "good"]
    assert {each.value() for each in dead} >= {b"no JSON"}
    assert len(dead) == 5
    assert all(dict(each.headers())["arvo-reason"] for each in dead)
    assert any("put aside" in each for each in caplog.messages)


def test_the_dead_are_written_with_their_reason() -> None:
    """For tools of one's own; the pair has kept the letter by then."""

    async def go() -> dict[str, bytes]:
        async with a_broker() as broker:
            await broker.publish([message("c1")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.dead_letter(await anext(incoming), "nobody could")
            [dead] = await asyncio.to_thread(read, f"{broker.prefix}.{PAY}_dead", 1)
            return dict(dead.headers())

    assert within(go())["arvo-reason"] == b"nobody could"


def test_addresses_that_no_topic_may_be_named_after_have_topics() -> None:
    """A topic has few characters and a short name, an address has neither bound."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            odd = ["(outside)", "com.a/b_c~é", "com." + "x" * 500 + "1", "com." + "x" * 500 + "2"]
            await broker.publish([EncodedMessage(each, charging(f"c{each[-1]}")) for each in odd])
            found = []
            for each in odd:
                async with aclosing(broker.deliveries([each])) as incoming:
                    found.append(await anext(incoming))
            return names(found)

    assert within(go()) == ["c)", "cé", "c1", "c2"]


def test_errors_say_whether_waiting_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's own never leave."""
    monkeypatch.setattr(writer, "CALL_SECONDS_MAX", 1.0)

    async def go() -> None:
        nobody = KafkaBroker("127.0.0.1:1", settings={"log_level": 0})
        with pytest.raises(Unavailable):
            await nobody.publish([message("c1")])
        with pytest.raises(Unavailable):
            await take(nobody)
        await nobody.close()
        small: dict[str, Any] = {"message.max.bytes": 1_000}
        async with a_broker(**small) as broker:
            large = evolve(charging("c1"), source="com." + "x" * 2_000)
            with pytest.raises(TooLarge, match=r"raise message\.max\.bytes"):
                await broker.publish([EncodedMessage(PAY, large)])

    within(go())


def test_what_the_cluster_would_not_take_again_is_settled_all_the_same() -> None:
    """Headers of ours make a message larger: the dead may have no copy, and what is put off for
    long waits here, where somebody else takes it up in the end.
    """

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker() as broker:
            long = evolve(charging("dead"), source="com." + "x" * 2_000)
            await broker.publish(
                [EncodedMessage(PAY, long), EncodedMessage(PAY, evolve(long, id="later"))]
            )
            small: dict[str, Any] = {"message.max.bytes": 1_000}
            async with (
                a_broker(broker.prefix, **small) as less,
                aclosing(less.deliveries([PAY])) as incoming,
            ):
                found = [await anext(incoming) for _ in range(2)]
                await less.dead_letter(found[0], "nobody could")
                await less.nack(found[1], 3600)
                assert not any(map(less._queues[PAY].is_ours, found))
            await broker.publish([message("last")])
            return names(found), names(await take(broker, 2))

    assert within(go()) == (["dead", "later"], ["later", "last"])


def test_a_url_says_servers_and_settings_and_keeps_them_to_itself() -> None:
    """A password among them ends in no log."""
    made = from_url("kafka://a:9092,b:9092?security.protocol=SASL_SSL&sasl.password=secret")

    assert made.servers == "a:9092,b:9092"
    assert made.settings == {"security.protocol": "SASL_SSL", "sasl.password": "secret"}
    assert "secret" not in repr(made)


def test_the_shop_runs_on_redis_and_kafka() -> None:
    """Two URLs are a pair, here with the older protocol of groups, which is the default."""
    memory = redis()
    memory.start()

    async def go() -> tuple[list[tuple[Status, int]], Stats]:
        async with Runtime(shop, f"{memory.url} kafka://{kafka_servers()}") as runtime:
            events = [placing(f"i{n}") for n in range(60)]
            await asyncio.gather(*map(runtime.send, events))
            stats = await runtime.drain(timeout=40)
            return await ended(runtime, events), stats

    try:
        found, stats = within(go())
    finally:
        memory.stop()

    assert found == [("done", 3)] * 60
    assert (stats.handled, stats.dead_lettered, stats.failed) == (300, 0, 0)
