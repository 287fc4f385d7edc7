"""Broker: leases, garbage, a full queue and a server that goes, against a real one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve
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
from tests.interpreters.brokers import PAY, ended, message, names, surely_sent, take
from tests.interpreters.holder import held
from tests.interpreters.within import within
from tests.servers import Server, redis, redis_url
from tests.shop import charging, placing, shop

LEASE_SECONDS = 0.3


@asynccontextmanager
async def a_broker(prefix: str = "", url: str = "", **settings: Any) -> AsyncIterator[RedisBroker]:
    broker = RedisBroker(url or redis_url(), prefix or uuid4().hex, **settings)
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    server = redis()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def another_program() -> AsyncIterator[Any]:
    async with Redis.from_url(redis_url()) as client:
        yield client


def test_what_a_process_had_that_was_killed_is_handed_out_again() -> None:
    """I1: nobody gives it back, so its lease must run out."""

    async def go() -> tuple[bytes, list[str]]:
        async with a_broker(lease=LEASE_SECONDS) as broker:
            await broker.publish([message("c1")])
            said = await held(redis_url(), broker.prefix, PAY)
            return said, names(await take(broker))

    assert within(go()) == (b"c1\n", ["c1"])


def test_whoever_works_for_longer_than_a_lease_keeps_it() -> None:
    """A slow handler lives; nobody else may begin what it does."""

    async def go() -> tuple[list[str], Depth]:
        async with a_broker(lease=LEASE_SECONDS) as mine, a_broker(mine.prefix) as other:
            other.lease = LEASE_SECONDS
            await mine.publish([message("c1")])
            async with aclosing(mine.deliveries([PAY])) as incoming:
                held = await anext(incoming)
                taken = []
                with suppress(TimeoutError):
                    async with asyncio.timeout(4 * LEASE_SECONDS):
                        taken = await take(other)
                await mine.ack(held)
            return names(taken), await mine.depth()

    assert within(go()) == ([], Depth())


def test_whoever_lost_its_lease_settles_nothing() -> None:
    """I6: a process that stood still, and comes back when another has what it had."""

    async def go() -> tuple[list[str], list[int], Depth]:
        # The first one renews too seldom for the second one's taste.
        async with (
            a_broker(lease=60) as stale,
            a_broker(stale.prefix, lease=LEASE_SECONDS) as other,
        ):
            await stale.publish([message("c1")])
            async with (
                aclosing(stale.deliveries([PAY])) as had,
                aclosing(other.deliveries([PAY])) as has,
            ):
                old = await anext(had)
                new = await anext(has)
                await stale.ack(old)
                await stale.nack(old, 0)
                await stale.dead_letter(old, "late")
                depth = await stale.depth()
                await other.ack(new)
            return names([old, new]), [old.attempt, new.attempt], depth

    assert within(go()) == (["c1", "c1"], [1, 1], Depth(taken=1))


def test_who_has_it_again_is_not_who_had_it_before() -> None:
    """The same consumer may be handed the same entry twice: the first token is old then."""

    async def go() -> Depth:
        async with (
            a_broker(lease=60) as stale,
            a_broker(stale.prefix, lease=LEASE_SECONDS) as other,
        ):
            await stale.publish([message("c1")])
            async with aclosing(stale.deliveries([PAY])) as incoming:
                old = await anext(incoming)
                async with aclosing(other.deliveries([PAY])) as has:
                    await anext(has)
                await anext(incoming)
                await stale.ack(old)
                return await stale.depth()

    assert within(go()) == Depth(taken=1)


def test_other_programs_read_and_write_plain_cloudevents() -> None:
    """No word of ours is needed but the name of the field."""

    async def go() -> tuple[bytes, list[str], int]:
        async with a_broker() as broker, another_program() as client:
            queue = f"{broker.prefix}:queue:{PAY}"
            await broker.publish([message("ours")])
            [[_, fields]] = await client.xrange(queue)
            await client.xadd(queue, {"event": charging("theirs").to_json()})
            found = await take(broker, 2)
            return fields[b"event"], names(found), found[1].attempt

    body, found, attempt = within(go())

    assert body.decode() == charging("ours").to_json()
    assert (found, attempt) == (["ours", "theirs"], 1)


def test_what_is_no_message_is_put_aside_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I8: it would never be one, and must stop nobody."""

    async def go() -> tuple[list[str], list[dict[bytes, bytes]], Depth]:
        async with a_broker() as broker, another_program() as client:
            queue = f"{broker.prefix}:queue:{PAY}"
            event = charging("late").to_json()
            await client.xadd(queue, {"event": "no JSON"})
            await client.xadd(queue, {"what": "no event"})
            await client.xadd(queue, {b"arvo-key": b"\xff", b"event": event})
            await client.xadd(queue, {"event": event, "arvo-attempt": "many"})
            await client.xadd(queue, {f"f{n}": "x" for n in range(9_000)})
            await broker.publish([message("good")])
            found = names(await take(broker))
            entries = await client.xrange(f"{broker.prefix}:dead:{PAY}")
            return found, [fields for _, fields in entries], await broker.depth()

    found, dead, depth = within(go())

    assert (found, depth) == (["good"], Depth())
    assert len(dead) == 5
    assert dead[0][b"event"] == b"no JSON"
    assert all(each[b"arvo-reason"] for each in dead)
    assert len([each for each in caplog.messages if "put aside" in each]) == 5


def test_the_dead_are_kept_with_their_reason() -> None:
    """For tools of one's own; the pair has kept the letter by then."""

    async def go() -> tuple[bytes, bytes]:
        async with a_broker() as broker, another_program() as client:
            await broker.publish([message("c1")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.dead_letter(await anext(incoming), "nobody could")
            [[_, fields]] = await client.xrange(f"{broker.prefix}:dead:{PAY}")
            return fields[b"arvo-reason"], fields[b"event"]

    assert within(go()) == (b"nobody could", charging("c1").to_json().encode())


def test_a_full_queue_refuses() -> None:
    """Whoever makes room may be waiting here, so nobody waits."""

    async def go() -> list[str]:
        async with a_broker(queue_max=2) as broker:
            await broker.publish([message("c1")])
            later = utc_now() + timedelta(hours=1)
            await broker.publish([evolve(message("c2"), due=later)])
            with pytest.raises(Unavailable, match="2 messages"):
                await broker.publish([message("c3")])
            found = await take(broker)
            await broker.publish([message("c3")])
            return names(found + await take(broker))

    assert within(go()) == ["c1", "c3"]


def test_nothing_is_handed_out_before_it_is_due() -> None:
    """I7: and who waits meanwhile is woken in time, in the order in which they are due."""

    async def go() -> tuple[list[str], Depth, bool]:
        async with a_broker() as broker:
            due = utc_now() + timedelta(seconds=0.3)
            taking = asyncio.ensure_future(take(broker, 3))
            await asyncio.sleep(0.1)
            await broker.publish([evolve(message("second"), due=due)])
            await broker.publish([evolve(message("third"), due=due)])
            first = evolve(message("first"), due=due - timedelta(seconds=0.1))
            await broker.publish([first])
            depth = await broker.depth()
            found = await taking
            return names(found), depth, utc_now() >= due

    assert within(go()) == (["first", "second", "third"], Depth(timers=3), True)


def test_a_message_waits_while_its_server_restarts() -> None:
    """What `publish` has taken is on the disk, and whoever iterates is told to try again."""

    async def go() -> tuple[list[str], list[str]]:
        async with a_server() as server, a_broker(url=server.url) as broker:
            await broker.publish([message("c1"), message("c2")])
            incoming = broker.deliveries([PAY])
            held = await anext(incoming)
            server.stop()
            with pytest.raises(Unavailable):
                await broker.ack(held)
            with pytest.raises(Unavailable):
                await anext(incoming)
            server.start()
            # Long before its lease ends, for it is seen off now.
            return names([held]), names(await take(broker, 2))

    assert within(go()) == (["c1"], ["c1", "c2"])


def test_errors_say_whether_waiting_helps() -> None:
    """The driver's own never leave."""

    async def go() -> None:
        async with a_broker() as broker, another_program() as client:
            await client.set(f"{broker.prefix}:queue:{PAY}", "another program's")
            with pytest.raises(Corrupt, match="prefix"):
                await broker.publish([message("c1")])
            with pytest.raises(Corrupt):
                await take(broker)
        async with a_broker(url=redis_url().replace("://", "://nobody:secret@")) as broker:
            with pytest.raises(Corrupt, match="password"):
                await broker.publish([message("c1")])
            assert "secret" not in repr(broker)
        memory = RedisMemory("redis://127.0.0.1:1")
        with pytest.raises(Unavailable):
            await memory.read("one")
        await memory.close()

    within(go())


def test_a_queue_that_was_flushed_is_made_anew() -> None:
    """What was in it is lost, and whoever waits there finds what comes next."""

    async def go() -> list[str]:
        async with a_broker() as broker, another_program() as client:
            await broker.publish([message("lost")])
            async with aclosing(broker.deliveries([PAY])) as incoming:
                await broker.ack(await anext(incoming))
                await client.delete(f"{broker.prefix}:queue:{PAY}")
                await broker.publish([message("next")])
                return names([await anext(incoming)])

    assert within(go()) == ["next"]


def test_the_shop_runs_on_one_url_while_its_server_restarts() -> None:
    """Memory and broker are both there, and nothing is lost or doubled by the restart."""

    async def go() -> tuple[list[tuple[Status, int]], Stats]:
        async with a_server() as server, Runtime(shop, server.url) as runtime:
            events = [placing(f"i{n}") for n in range(60)]
            sending = asyncio.gather(*(surely_sent(runtime, each) for each in events))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(server.restart)
            await sending
            stats = await runtime.drain(timeout=20)
            return await ended(runtime, events), stats

    found, stats = within(go(), 60)

    assert found == [("done", 3)] * 60
    assert (stats.dead_lettered, stats.failed) == (0, 0)
