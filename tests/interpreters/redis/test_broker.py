"""Broker: leases, unreadable messages, a full queue and a restart, on a real Redis server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from arvo import (
    Corrupt,
    Depth,
    RedisBroker,
    RedisMemory,
    Runtime,
    Stats,
    Unavailable,
)
from arvo.core.record import Status
from arvo.interpreters.delivery.clock import utc_now
from tests.interpreters.brokers import (
    PAY,
    event_ids,
    final_states,
    message,
    receive,
    receive_through_pair,
    send_when_available,
)
from tests.interpreters.killed_consumer import receive_and_die
from tests.interpreters.within import within
from tests.logged import logged
from tests.server_process import Server
from tests.servers import redis, redis_url
from tests.shop import charge_request, order_request, shop

LEASE_SECONDS = 0.3
# Longer than a busy machine keeps a process waiting.
RENEWED_SECONDS = 2.0


@asynccontextmanager
async def a_broker(prefix: str = "", url: str = "", **settings: Any) -> AsyncIterator[RedisBroker]:
    broker = RedisBroker(url or redis_url(), prefix or uuid4().hex, **settings)
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    # By default a busy disk delays the log for up to two seconds, and a killed server loses that.
    server = redis("--appendfsync", "always")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def another_program() -> AsyncIterator[Any]:
    async with Redis.from_url(redis_url()) as client:
        yield client


@pytest.mark.promise("I1")
def test_deliveries_of_a_killed_process_are_redelivered() -> None:
    """I1: the process returns nothing, so its lease must expire."""

    async def go() -> tuple[bytes, list[str]]:
        async with a_broker(lease=LEASE_SECONDS) as broker:
            await broker.publish([message("c1")])
            output = await receive_and_die(redis_url(), broker.prefix, PAY)
            return output, event_ids(await receive(broker))

    assert within(go()) == (b"c1\n", ["c1"])


def test_a_worker_that_takes_longer_than_its_lease_keeps_its_delivery() -> None:
    """A slow handler is alive; no other worker may start the same work."""

    async def go() -> tuple[list[str], Depth]:
        async with a_broker(lease=RENEWED_SECONDS) as mine, a_broker(mine.prefix) as other:
            other.lease = RENEWED_SECONDS
            await mine.publish([message("c1")])
            async with aclosing(mine.deliveries([PAY])) as incoming:
                delivery = await anext(incoming)
                stolen = []
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.5 * RENEWED_SECONDS):
                        stolen = await receive(other)
                await mine.ack(delivery)
            return event_ids(stolen), await mine.depth()

    assert within(go()) == ([], Depth())


@pytest.mark.promise("I6")
def test_a_worker_whose_lease_expired_settles_nothing() -> None:
    """I6: its process was paused, and another one has its delivery by now."""

    async def go() -> tuple[list[str], list[int], Depth]:
        # The first broker renews its lease less often than the second one expects.
        async with (
            a_broker(lease=60) as stale,
            a_broker(stale.prefix, lease=LEASE_SECONDS) as other,
        ):
            await stale.publish([message("c1")])
            async with (
                aclosing(stale.deliveries([PAY])) as before,
                aclosing(other.deliveries([PAY])) as after,
            ):
                old = await anext(before)
                new = await anext(after)
                await stale.ack(old)
                await stale.nack(old, 0)
                await stale.dead_letter(old, "late")
                depth = await stale.depth()
                await other.ack(new)
            return event_ids([old, new]), [old.attempt, new.attempt], depth

    assert within(go()) == (["c1", "c1"], [1, 2], Depth(taken=1))


def test_a_token_settles_only_its_own_delivery() -> None:
    """One consumer may receive one entry twice; the first token is stale then."""

    async def go() -> Depth:
        async with (
            a_broker(lease=60) as stale,
            a_broker(stale.prefix, lease=LEASE_SECONDS) as other,
        ):
            await stale.publish([message("c1")])
            async with aclosing(stale.deliveries([PAY])) as incoming:
                old = await anext(incoming)
                async with aclosing(other.deliveries([PAY])) as between:
                    await anext(between)
                await anext(incoming)
                await stale.ack(old)
                return await stale.depth()

    assert within(go()) == Depth(taken=1)


def test_other_programs_read_and_write_plain_cloudevents() -> None:
    """They only need to know the name of the field."""

    async def go() -> tuple[bytes, list[str], int]:
        async with a_broker() as broker, another_program() as client:
            queue = f"{broker.prefix}:queue:{PAY}"
            await broker.publish([message("ours")])
            [[_, fields]] = await client.xrange(queue)
            await client.xadd(queue, {"event": charge_request("theirs").to_json()})
            deliveries = await receive(broker, 2)
            return fields[b"event"], event_ids(deliveries), deliveries[1].attempt

    body, ids, attempt = within(go())

    assert body.decode() == charge_request("ours").to_json()
    assert (ids, attempt) == (["ours", "theirs"], 1)


@pytest.mark.promise("I8")
def test_unreadable_messages_are_dead_lettered_with_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I8: they would never become readable, and must not stop the others."""

    async def go() -> tuple[list[str], list[dict[bytes, bytes]], Depth]:
        async with a_broker() as broker, another_program() as client:
            queue = f"{broker.prefix}:queue:{PAY}"
            event = charge_request("late").to_json()
            await client.xadd(queue, {"event": "no JSON"})
            await client.xadd(queue, {"what": "no event"})
            await client.xadd(queue, {b"arvo-key": b"\xff", b"event": event})
            await client.xadd(queue, {"event": event, "arvo-attempt": "many"})
            await client.xadd(queue, {f"f{n}": "x" for n in range(9_000)})
            await broker.publish([message("good")])
            ids = await receive_through_pair(broker)
            entries = await client.xrange(f"{broker.prefix}:dead:{PAY}")
            return ids, [fields for _, fields in entries], await broker.depth()

    ids, dead_letters, depth = within(go())

    assert (ids, depth) == (["good"], Depth())
    assert len(dead_letters) == 5
    assert dead_letters[0][b"event"] == b"no JSON"
    assert all(fields[b"arvo-reason"] for fields in dead_letters)
    assert len(logged(caplog.records, "dead letter stored")) == 5


def test_an_unreadable_attempt_survives_a_nack() -> None:
    """Another program wrote it; the next attempt is counted from one."""

    async def go() -> tuple[int, int]:
        async with a_broker() as broker, another_program() as client:
            fields = {"event": charge_request("c1").to_json(), "arvo-attempt": "many"}
            await client.xadd(f"{broker.prefix}:queue:{PAY}", fields)
            async with aclosing(broker.deliveries([PAY])) as incoming:
                first = await anext(incoming)
                await broker.nack(first, 0)
                return first.attempt, (await anext(incoming)).attempt

    assert within(go()) == (1, 2)


def test_dead_letters_have_a_stream_with_their_reasons() -> None:
    """For tools of an operator; the pair has stored the dead letter by then."""

    async def go() -> tuple[bytes, bytes]:
        async with a_broker() as broker, another_program() as client:
            await broker.publish([message("c1")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.dead_letter(await anext(incoming), "no handler")
            [[_, fields]] = await client.xrange(f"{broker.prefix}:dead:{PAY}")
            return fields[b"arvo-reason"], fields[b"event"]

    assert within(go()) == (b"no handler", charge_request("c1").to_json().encode())


def test_a_full_queue_refuses() -> None:
    """It must not wait, because the consumer that makes room may be the caller."""

    async def go() -> list[str]:
        async with a_broker(queue_max=2) as broker:
            await broker.publish([message("c1")])
            later = utc_now() + timedelta(hours=1)
            await broker.publish([message("c2", due=later)])
            with pytest.raises(Unavailable, match="2 messages"):
                await broker.publish([message("c3")])
            deliveries = await receive(broker)
            await broker.publish([message("c3")])
            return event_ids(deliveries + await receive(broker))

    assert within(go()) == ["c1", "c3"]


@pytest.mark.promise("I7")
def test_no_message_is_delivered_before_it_is_due() -> None:
    """I7: a consumer that waits is woken in time, in the order of the due times."""

    async def go() -> tuple[list[str], Depth, bool]:
        async with a_broker() as broker:
            # All are published long before the first one is due, also on a busy machine.
            due = utc_now() + timedelta(seconds=2)
            receiving = asyncio.ensure_future(receive(broker, 3))
            await asyncio.sleep(0.1)
            await broker.publish([message("second", due=due)])
            await broker.publish([message("third", due=due)])
            await broker.publish([message("first", due=due - timedelta(seconds=0.1))])
            depth = await broker.depth()
            return event_ids(await receiving), depth, utc_now() >= due

    assert within(go()) == (["first", "second", "third"], Depth(timers=3), True)


def test_messages_survive_a_restart_of_the_server() -> None:
    """What `publish` stored is on the disk, and iterations raise `Unavailable`."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_server() as server, a_broker(url=server.url) as broker:
            await broker.publish([message("c1"), message("c2")])
            incoming = broker.deliveries([PAY])
            delivery = await anext(incoming)
            server.stop()
            with pytest.raises(Unavailable):
                await broker.ack(delivery)
            with pytest.raises(Unavailable):
                await anext(incoming)
            server.start()
            # Long before its lease expires, because the next iteration deregisters it.
            return event_ids([delivery]), event_ids(await receive(broker, 2))

    assert within(go()) == (["c1"], ["c1", "c2"])


def test_errors_tell_whether_waiting_helps() -> None:
    """No exception of the driver leaves the adapter."""

    async def go() -> None:
        async with a_broker() as broker, another_program() as client:
            await client.set(f"{broker.prefix}:queue:{PAY}", "of another program")
            with pytest.raises(Corrupt, match="prefix"):
                await broker.publish([message("c1")])
            with pytest.raises(Corrupt):
                await receive(broker)
        async with a_broker(url=redis_url().replace("://", "://nobody:secret@")) as broker:
            with pytest.raises(Corrupt, match="password"):
                await broker.publish([message("c1")])
            assert "secret" not in repr(broker)
        memory = RedisMemory("redis://127.0.0.1:1")
        with pytest.raises(Unavailable):
            await memory.read("one")
        await memory.close()

    within(go())


def test_a_deleted_queue_is_created_again() -> None:
    """Its messages are lost, and a waiting consumer receives the next one."""

    async def go() -> list[str]:
        async with a_broker() as broker, another_program() as client:
            await broker.publish([message("lost")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.ack(await anext(incoming))
                await client.delete(f"{broker.prefix}:queue:{PAY}")
                await broker.publish([message("next")])
                return event_ids([await anext(incoming)])

    assert within(go()) == ["next"]


def test_the_shop_runs_on_one_url_while_its_server_restarts() -> None:
    """One server is memory and broker, and the restart loses and duplicates nothing."""

    async def go() -> tuple[list[tuple[Status, int]], Stats]:
        async with a_server() as server, Runtime(shop, server.url) as runtime:
            events = [order_request(f"i{n}") for n in range(60)]
            sending = asyncio.gather(*(send_when_available(runtime, event) for event in events))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(server.restart)
            await sending
            stats = await runtime.drain(timeout=20)
            return await final_states(runtime, events), stats

    states, stats = within(go(), 60)

    assert states == [("done", 3)] * 60
    assert (stats.dead_lettered, stats.failed) == (0, 0)


@pytest.mark.promise("I6")
def test_a_delivery_is_lost_when_its_iteration_ends() -> None:
    """I6: after a lost connection another process may have it, and makes its calls."""

    async def go() -> list[bool]:
        async with a_broker() as broker:
            await broker.publish([message("c1")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                delivery = await anext(incoming)
                owned = [broker.owns(delivery)]
            return [*owned, broker.owns(delivery)]

    assert within(go()) == [True, False]
