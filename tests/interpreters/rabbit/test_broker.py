"""Broker: delays, unreadable messages, a full queue and a restart, on a real RabbitMQ server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from attrs import define

from arvo import Corrupt, RabbitBroker, Runtime, Stats, Unavailable
from arvo.core.record import Status
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.rabbit import connection as connections
from arvo.interpreters.rabbit.delays import DELAY_MAX
from arvo.testing.conformance.kit.samples import to_service
from tests.interpreters.brokers import (
    PAY,
    encode,
    event_ids,
    final_states,
    message,
    receive,
    receive_through_pair,
    send_when_available,
)
from tests.interpreters.death_counts import LIFE, count_deaths
from tests.interpreters.killed_consumer import receive_and_die
from tests.interpreters.within import within
from tests.logged import logged
from tests.servers import rabbit, rabbit_url, redis
from tests.shop import charge_request, order_request, shop


@asynccontextmanager
async def a_broker(prefix: str = "", url: str = "", **settings: Any) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(url or rabbit_url(), prefix or uuid4().hex, **settings)
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def another_program() -> AsyncIterator[Any]:
    """Open a channel of a program that does not know Arvo."""
    connection = await aio_pika.connect(rabbit_url())
    async with connection, connection.channel() as channel:
        yield channel


@pytest.mark.promise("I1")
def test_deliveries_of_a_killed_process_are_redelivered() -> None:
    """I1: the server detects the lost connection, and returns them to their place."""

    async def go() -> tuple[bytes, list[str]]:
        async with a_broker() as broker:
            await broker.publish([message("c1"), message("c2")])
            output = await receive_and_die(rabbit_url(), broker.prefix, PAY)
            return output, event_ids(await receive(broker, 2))

    assert within(go()) == (b"c1\n", ["c1", "c2"])


def test_a_process_holds_no_more_than_its_prefetch() -> None:
    """Other processes get the rest, and a slow handler does not fill the memory."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_broker(prefetch=2) as mine, a_broker(mine.prefix) as other:
            await mine.publish([message(f"c{n}") for n in range(4)])
            async with aclosing(mine.deliveries([PAY])) as incoming:
                prefetched = [await anext(incoming), await anext(incoming)]
                others = await receive(other, 2)
            return event_ids(prefetched), event_ids(others)

    assert within(go()) == (["c0", "c1"], ["c2", "c3"])


@pytest.mark.promise("I6")
def test_settling_after_the_channel_is_closed_changes_nothing() -> None:
    """I6: another consumer may have the message, and a nack must not make a copy of it."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            await broker.publish([message("c1")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                stale = await anext(incoming)
                assert broker.owns(stale)
            assert not broker.owns(stale)
            await broker.ack(stale)
            await broker.nack(stale, 0)
            await broker.dead_letter(stale, "late")
            await broker.publish([message("c2")])
            return event_ids(await receive(broker, 2))

    assert within(go()) == ["c1", "c2"]


@pytest.mark.promise("I7")
def test_no_message_is_delivered_before_it_is_due() -> None:
    """I7: a message with a short delay overtakes one with a long delay."""

    async def go() -> tuple[list[str], bool]:
        async with a_broker() as broker:
            # The first delayed message on a server creates the queues for delays.
            await broker.publish([message("past", due=utc_now())])
            # All are published long before the first one is due, also on a busy machine.
            due = utc_now() + timedelta(seconds=4)
            await broker.publish([message("second", due=due)])
            first = message("first", due=due - timedelta(seconds=1))
            await broker.publish([first, message("now")])
            deliveries = await receive(broker, 4)
            return event_ids(deliveries), utc_now() >= due

    assert within(go()) == (["past", "now", "first", "second"], True)


def test_the_longest_delay_is_the_sum_of_all_levels() -> None:
    """A message with a longer delay is delivered early, which the port allows, not refused."""

    async def go() -> None:
        async with a_broker() as broker:
            await broker.publish([message("c1", due=utc_now() + 2 * DELAY_MAX)])

    within(go())
    assert timedelta(days=31) < DELAY_MAX


def test_other_programs_read_and_write_plain_cloudevents() -> None:
    """The body is the event, the content type names it, and headers of Arvo are optional."""

    async def go() -> tuple[bytes, str, list[str], int]:
        async with a_broker() as broker, another_program() as channel:
            await broker.publish([message("ours")])
            queue = await channel.get_queue(f"{broker.prefix}:{PAY}:unordered")
            ours = await queue.get(no_ack=True)
            theirs = aio_pika.Message(charge_request("theirs").to_json().encode())
            await channel.default_exchange.publish(theirs, f"{broker.prefix}:{PAY}")
            [delivery] = await receive(broker)
            return ours.body, ours.content_type, event_ids([delivery]), delivery.attempt

    body, content_type, ids, attempt = within(go())

    assert body.decode() == charge_request("ours").to_json()
    assert content_type == "application/cloudevents+json; charset=UTF-8"
    assert (ids, attempt) == (["theirs"], 1)


@pytest.mark.promise("I8")
def test_unreadable_messages_are_dead_lettered_with_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I8: they would never become readable, and must not stop the others."""

    async def go() -> tuple[list[str], list[Any]]:
        async with a_broker() as broker, another_program() as channel:
            await broker.publish([message("first")])
            event = charge_request("odd").to_json().encode()
            unreadable: list[tuple[bytes, dict[str, Any]]] = [
                (b"no JSON", {}),
                (b"\xff{}", {"odd": [1, {"deep": True}]}),
                (event, {"arvo-attempt": "many"}),
                (event, {"arvo-due": "tomorrow"}),
            ]
            for body, headers in unreadable:
                theirs = aio_pika.Message(body, headers=headers)
                await channel.default_exchange.publish(theirs, f"{broker.prefix}:{PAY}")
            await broker.publish([message("good")])
            ids = await receive_through_pair(broker, 2)
            dead_letters = await channel.get_queue(f"{broker.prefix}:{PAY}:dead")
            return ids, [await dead_letters.get(no_ack=True) for _ in range(4)]

    ids, dead_letters = within(go())

    assert ids == ["first", "good"]
    assert [dead_letter.body for dead_letter in dead_letters][:2] == [b"no JSON", b"\xff{}"]
    assert dead_letters[1].headers["odd"] == [1, {"deep": True}]
    assert all(dead_letter.headers["arvo-reason"] for dead_letter in dead_letters)
    assert len(logged(caplog.records, "dead letter stored")) == 4


def test_a_full_queue_refuses() -> None:
    """It must not wait, because the consumer that makes room may be the caller."""

    async def go() -> list[str]:
        async with a_broker(queue_max=2) as broker:
            published = 0

            async def fill() -> None:
                nonlocal published
                # The server counts with a delay, and accepts a few more.
                while published < 100:
                    await broker.publish([message(f"c{published}")])
                    published += 1

            with pytest.raises(Unavailable, match="full"):
                await fill()
            deliveries = await receive(broker, published)
            await broker.publish([message("more")])
            return event_ids(deliveries)[:2] + event_ids(await receive(broker))

    assert within(go()) == ["c0", "c1", "more"]


def test_a_deleted_queue_is_created_again() -> None:
    """Its messages are lost, and a waiting consumer gets `Unavailable`."""

    async def go() -> list[str]:
        async with (
            a_broker() as broker,
            a_broker(broker.prefix) as sender,
            another_program() as channel,
        ):
            await sender.publish([message("lost")])
            incoming = broker.deliveries([PAY])
            await broker.ack(await anext(incoming))
            await channel.queue_delete(f"{broker.prefix}:{PAY}:unordered")
            with pytest.raises(Unavailable):
                await anext(incoming)
            with pytest.raises(Unavailable):
                await sender.publish([message("next")])
            await sender.publish([message("next")])
            return event_ids(await receive(broker))

    assert within(go()) == ["next"]


def test_a_queue_that_is_deleted_under_its_consumer_is_created_again() -> None:
    """Otherwise the process would receive nothing of the address until an event needs the queue."""

    async def go() -> list[str]:
        async with a_broker() as broker, a_broker(broker.prefix) as sender:
            async with another_program() as channel, aclosing(broker.deliveries([PAY])) as incoming:
                await sender.publish([message("first")])
                await broker.ack(await anext(incoming))
                await channel.queue_delete(f"{broker.prefix}:{PAY}:3")
                with pytest.raises(Unavailable):
                    await anext(incoming)
            await sender.publish([message("second")])
            return event_ids(await receive(broker, 1))

    assert within(go()) == ["second"]


def test_long_addresses_have_queues_of_their_own() -> None:
    """A name in RabbitMQ has at most 255 bytes, an address has no limit."""

    async def go() -> list[str]:
        async with a_broker() as broker:
            long = ["com." + "x" * 500 + end for end in ("a", "b~%é")]
            later = utc_now() + timedelta(seconds=0.05)
            await broker.publish([encode(charge_request(name[-1]), name, later) for name in long])
            deliveries = []
            for name in long:
                async with aclosing(broker.deliveries([name])) as incoming:
                    deliveries.append(await anext(incoming))
            return event_ids(deliveries)

    assert within(go()) == ["a", "é"]


def test_errors_tell_whether_waiting_helps() -> None:
    """No exception of the driver leaves the adapter, and no password does."""

    async def go() -> None:
        async with a_broker(url=rabbit_url().replace("guest:guest", "guest:secret")) as broker:
            with pytest.raises(Corrupt, match="password") as raised:
                await broker.publish([message("c1")])
            assert "secret" not in f"{broker!r} {raised.value}"
        async with a_broker() as broker, a_broker(broker.prefix, queue_max=7) as other:
            await broker.publish([message("c1")])
            with pytest.raises(Corrupt, match="other settings"):
                await other.publish([message("c2")])
        async with a_broker(url="amqp://127.0.0.1:1") as broker:
            with pytest.raises(Unavailable):
                await broker.publish([message("c1")])

    within(go())


def test_the_shop_runs_on_redis_and_rabbit_while_rabbit_restarts() -> None:
    """Two URLs make a pair; the restart loses and duplicates nothing, and no workflow fails."""
    memory, server = redis(), rabbit()
    memory.start()
    server.start()

    async def go() -> tuple[list[tuple[Status, int]], Stats]:
        async with Runtime(shop, f"{memory.url} {server.url}") as runtime:
            events = [order_request(f"i{n}") for n in range(60)]
            # With one workflow all queues are made: a kill may lose one that is new.
            await send_when_available(runtime, events[0])
            await runtime.drain(timeout=60)
            sending = asyncio.gather(*(send_when_available(runtime, event) for event in events))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.restart)
            await sending
            stats = await runtime.drain(timeout=100)
            return await final_states(runtime, events), stats

    try:
        states, stats = within(go(), 240)
    finally:
        server.stop()
        memory.stop()

    assert states == [("done", 3)] * 60
    assert (stats.dead_lettered, stats.failed) == (0, 0)


@pytest.mark.promise("I11")
def test_failures_and_deaths_are_counted_apart() -> None:
    """A nack publishes the message again, so the server counts its deliveries anew."""
    prefix = uuid4().hex

    counts = within(count_deaths(lambda: RabbitBroker(rabbit_url(), prefix), to_service("e1")))

    assert counts == [before for _, before in LIFE]


@define
class OpenConnection:
    """What `Connection` uses of the driver's connection."""

    is_closed: bool = False

    async def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_channel_that_does_not_end_ends_its_connection(
    is_slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server delivers to it, nobody takes these messages, and no other process gets them."""
    monkeypatch.setattr(connections, "CALL_SECONDS_MAX", 0.0 if is_slow else 60.0)

    async def go() -> bool:
        connection, driver = connections.Connection("amqp://localhost"), OpenConnection()
        connection._connection = driver  # type: ignore[assignment]
        await connection.finish(asyncio.sleep(3600 if is_slow else 0))
        await asyncio.gather(*connection._ending, return_exceptions=True)
        return driver.is_closed

    assert within(go()) is is_slow
