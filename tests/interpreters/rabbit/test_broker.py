"""Broker: delays, garbage, a full queue and a server that goes, against a real RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from attrs import evolve

from arvo import Corrupt, EncodedMessage, RabbitBroker, Runtime, Stats, Unavailable
from arvo.core.record import Status
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.rabbit.delays import DELAY_MAX
from tests.interpreters.brokers import PAY, ended, message, names, surely_sent, take
from tests.interpreters.holder import held
from tests.interpreters.within import within
from tests.servers import rabbit, rabbit_url, redis
from tests.shop import charging, placing, shop

QUEUES_KEPT_SECONDS = 2.0


@asynccontextmanager
async def a_broker(prefix: str = "", url: str = "", **settings: Any) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(url or rabbit_url(), prefix or uuid4().hex, **settings)
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def another_program() -> AsyncIterator[Any]:
    """Give a channel of a program that knows nothing of us."""
    connection = await aio_pika.connect(rabbit_url())
    async with connection, connection.channel() as channel:
        yield channel


def test_what_a_process_had_that_was_killed_is_handed_out_again() -> None:
    """I1: the server notices that the connection has ended, and puts it where it was."""

    async def go() -> tuple[bytes, list[str]]:
        async with a_broker() as broker:
            await broker.publish([message("c1"), message("c2")])
            said = await held(rabbit_url(), broker.prefix, PAY)
            return said, names(await take(broker, 2))

    assert within(go()) == (b"c1\n", ["c1", "c2"])


def test_only_so_many_are_here_at_a_time() -> None:
    """The rest is for others, and what is slow fills no memory."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker(prefetch=2) as mine, a_broker(mine.prefix) as other:
            await mine.publish([message(f"c{n}") for n in range(4)])
            async with aclosing(mine.deliveries([PAY])) as incoming:
                held = [await anext(incoming), await anext(incoming)]
                found = await take(other, 2)
            return names(held), names(found)

    assert within(go()) == (["c0", "c1"], ["c2", "c3"])


def test_what_was_done_on_a_channel_that_is_closed_is_not_done() -> None:
    """I6: it is another's by now, and `again` must not make a second of it."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            await broker.publish([message("c1")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                stale = await anext(incoming)
            await broker.ack(stale)
            await broker.nack(stale, 0)
            await broker.dead_letter(stale, "late")
            await broker.publish([message("c2")])
            return names(await take(broker, 2))

    assert within(go()) == ["c1", "c2"]


def test_nothing_is_handed_out_before_it_is_due() -> None:
    """I7: a short wait overtakes a long one."""

    async def go() -> tuple[list[str], bool]:
        async with a_broker() as broker:
            # The first that waits at a server has the queues made that it waits in.
            await broker.publish([evolve(message("past"), due=utc_now())])
            due = utc_now() + timedelta(seconds=1)
            await broker.publish([evolve(message("second"), due=due)])
            first = evolve(message("first"), due=due - timedelta(seconds=0.8))
            await broker.publish([first, message("now")])
            found = await take(broker, 4)
            return names(found), utc_now() >= due

    assert within(go()) == (["past", "now", "first", "second"], True)


def test_the_longest_wait_is_the_sum_of_all_levels() -> None:
    """What is due after it comes early, which the port allows; it is never refused."""

    async def go() -> None:
        async with a_broker() as broker:
            await broker.publish([evolve(message("c1"), due=utc_now() + 2 * DELAY_MAX)])

    within(go())
    assert timedelta(days=31) < DELAY_MAX


def test_other_programs_read_and_write_plain_cloudevents() -> None:
    """The body is the event, its content type says so, and no header of ours is needed."""

    async def go() -> tuple[bytes, str, list[str], int]:
        async with a_broker() as broker, another_program() as channel:
            await broker.publish([message("ours")])
            queue = await channel.get_queue(f"{broker.prefix}:{PAY}")
            ours = await queue.get(no_ack=True)
            said = aio_pika.Message(charging("theirs").to_json().encode())
            await channel.default_exchange.publish(said, queue.name)
            found = await take(broker)
            return ours.body, ours.content_type, names(found), found[0].attempt

    body, content_type, found, attempt = within(go())

    assert body.decode() == charging("ours").to_json()
    assert content_type == "application/cloudevents+json; charset=UTF-8"
    assert (found, attempt) == (["theirs"], 1)


def test_what_is_no_message_is_put_aside_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I8: it would never be one, and must stop nobody."""

    async def go() -> tuple[list[str], list[Any]]:
        async with a_broker() as broker, another_program() as channel:
            await broker.publish([message("first")])
            event = charging("odd").to_json().encode()
            garbage: list[tuple[bytes, dict[str, Any]]] = [
                (b"no JSON", {}),
                (b"\xff{}", {"odd": [1, {"deep": True}]}),
                (event, {"arvo-attempt": "many"}),
                (event, {"arvo-due": "tomorrow"}),
            ]
            for body, headers in garbage:
                said = aio_pika.Message(body, headers=headers)
                await channel.default_exchange.publish(said, f"{broker.prefix}:{PAY}")
            await broker.publish([message("good")])
            found = names(await take(broker, 2))
            dead = await channel.get_queue(f"{broker.prefix}:{PAY}:dead")
            return found, [await dead.get(no_ack=True) for _ in range(4)]

    found, dead = within(go())

    assert found == ["first", "good"]
    assert [each.body for each in dead][:2] == [b"no JSON", b"\xff{}"]
    assert all(each.headers["arvo-reason"] for each in dead)
    assert len([each for each in caplog.messages if "put aside" in each]) == 4


def test_a_full_queue_refuses() -> None:
    """Whoever makes room may be waiting here, so nobody waits."""

    async def go() -> list[str]:
        async with a_broker(queue_max=2) as broker:
            taken = 0

            async def fill() -> None:
                nonlocal taken
                # The server counts a moment later, and lets some more in.
                while taken < 100:
                    await broker.publish([message(f"c{taken}")])
                    taken += 1

            with pytest.raises(Unavailable, match="full"):
                await fill()
            found = await take(broker, taken)
            await broker.publish([message("more")])
            return names(found)[:2] + names(await take(broker))

    assert within(go()) == ["c0", "c1", "more"]


def test_a_queue_that_was_deleted_is_made_anew() -> None:
    """What was in it is lost, and whoever waits there is told to ask again."""

    async def go() -> list[str]:
        async with a_broker() as broker, another_program() as channel:
            await broker.publish([message("lost")])
            incoming = broker.deliveries([PAY])
            await broker.ack(await anext(incoming))
            await channel.queue_delete(f"{broker.prefix}:{PAY}")
            with pytest.raises(Unavailable):
                await anext(incoming)
            with pytest.raises(Unavailable):
                await broker.publish([message("next")])
            await broker.publish([message("next")])
            return names(await take(broker))

    assert within(go()) == ["next"]


def test_the_longest_addresses_have_queues_of_their_own() -> None:
    """A name of RabbitMQ's has 255 bytes, an address has no bound."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            long = ["com." + "x" * 500 + end for end in ("a", "b~%é")]
            later = utc_now() + timedelta(seconds=0.05)
            await broker.publish(
                [EncodedMessage(each, charging(each[-1]), due=later) for each in long]
            )
            found = []
            for each in long:
                async with aclosing(broker.deliveries([each])) as incoming:
                    found.append(await anext(incoming))
            return names(found)

    assert within(go()) == ["a", "é"]


def test_errors_say_whether_waiting_helps() -> None:
    """The driver's own never leave, and no password does."""

    async def go() -> None:
        async with a_broker(url=rabbit_url().replace("guest:guest", "guest:secret")) as broker:
            with pytest.raises(Corrupt, match="password") as caught:
                await broker.publish([message("c1")])
            assert "secret" not in f"{broker!r} {caught.value}"
        async with a_broker() as broker, a_broker(broker.prefix, queue_max=7) as other:
            await broker.publish([message("c1")])
            with pytest.raises(Corrupt, match="other settings"):
                await other.publish([message("c2")])
        async with a_broker(url="amqp://127.0.0.1:1") as broker:
            with pytest.raises(Unavailable):
                await broker.publish([message("c1")])

    within(go())


def test_the_shop_runs_on_redis_and_rabbit_while_rabbit_restarts() -> None:
    """Two URLs are a pair; nothing is lost or doubled by the restart, and none of ours ends."""
    memory, server = redis(), rabbit()
    memory.start()
    server.start()

    async def go() -> tuple[list[tuple[Status, int]], Stats]:
        async with Runtime(shop, f"{memory.url} {server.url}") as runtime:
            events = [placing(f"i{n}") for n in range(60)]
            await surely_sent(runtime, events[0])
            # RabbitMQ 3.10 may not find a queue again that it made in the moment before it died.
            await asyncio.sleep(QUEUES_KEPT_SECONDS)
            sending = asyncio.gather(*(surely_sent(runtime, each) for each in events))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.restart)
            await sending
            stats = await runtime.drain(timeout=30)
            return await ended(runtime, events), stats

    try:
        found, stats = within(go(), 120)
    finally:
        server.stop()
        memory.stop()

    assert found == [("done", 3)] * 60
    assert (stats.dead_lettered, stats.failed) == (0, 0)
