"""Order: the messages of one key are delivered one at a time, on a real Redis server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from arvo import Depth, EncodedMessage, Event, RedisBroker
from arvo.interpreters.delivery.brokers.ordering import key_token, ordering_key, with_subject
from arvo.interpreters.ports.messages import Message
from arvo.testing import OrderedBrokerConformance
from arvo.testing.conformance.key_order import of_key
from arvo.testing.conformance.kit.samples import WORKFLOW, event, to_service, to_workflow
from tests.interpreters.brokers import event_of
from tests.interpreters.death_counts import LIFE, count_deaths
from tests.interpreters.killed_consumer import receive_and_die
from tests.interpreters.until import until
from tests.interpreters.within import LEASE_TIMEOUT, within
from tests.servers import redis_url


@pytest.mark.promise("I4")
class TestRedisKeyOrder(OrderedBrokerConformance):
    is_durable = True
    timeout = LEASE_TIMEOUT

    async def broker(self) -> RedisBroker:
        return RedisBroker(redis_url(), self.tmp_path.name)

    async def close(self, broker: Any) -> None:
        await broker.close()

    async def publish_plain(self, broker: Any, event: Event[Any]) -> None:
        async with Redis.from_url(redis_url()) as client:
            await client.xadd(f"{broker.prefix}:queue:{WORKFLOW}", {"event": event.to_json()})


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[tuple[RedisBroker, Any]]:
    """Open a broker, and a client that knows nothing of it."""
    broker = RedisBroker(redis_url(), uuid4().hex, **settings)
    try:
        async with Redis.from_url(redis_url()) as client:
            yield broker, client
    finally:
        await broker.close()


def queue_of(broker: RedisBroker) -> str:
    return f"{broker.prefix}:queue:{WORKFLOW}"


async def receive_all(broker: RedisBroker, number: int) -> list[str]:
    async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
        ids = []
        for _ in range(number):
            delivery = await anext(incoming)
            ids.append(event_of(delivery).id)
            await broker.ack(delivery)
        return ids


async def read_all(broker: RedisBroker, client: Any) -> None:
    """Have a consumer read the rest of the queue, all of which waits for its turn."""
    incoming = broker.deliveries([WORKFLOW])
    reading = asyncio.ensure_future(anext(incoming))
    rest = await client.xlen(queue_of(broker)) - 1
    waiting = f"{broker.prefix}:waiting:{WORKFLOW}"

    async def is_read() -> bool:
        return bool(await client.zcard(waiting) == rest)

    await until(is_read)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await incoming.aclose()


async def state_of(broker: RedisBroker, client: Any) -> int:
    """Return how many keys the order of a queue occupies on the server."""
    kinds = ("busy", "waiting", "nacked", "nacks")
    number: int = await client.exists(*(f"{broker.prefix}:{kind}:{WORKFLOW}" for kind in kinds))
    return number


async def key_on_the_server(fields: dict[str, str]) -> str:
    """Return the key that the scripts find in an entry of another program."""
    async with opened() as (broker, client):
        await client.xadd(queue_of(broker), fields)
        async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
            key: bytes = (await anext(incoming)).token.key
            return key.decode()


@pytest.mark.promise("I1", "I4")
def test_the_messages_of_a_killed_process_come_first_again() -> None:
    """Its lease expires while the next message of the key waits at another process."""

    async def go() -> list[str]:
        async with opened(lease=0.3) as (broker, _):
            await broker.publish([of_key("first"), of_key("second")])
            await receive_and_die(redis_url(), broker.prefix, WORKFLOW)
            return await receive_all(broker, 2)

    assert within(go()) == ["first", "second"]


@pytest.mark.parametrize("after", ["return", "nack"])
def test_a_message_that_was_deleted_by_hand_does_not_hold_back_its_key(after: str) -> None:
    """The server does not know the key of a deleted entry any more."""

    async def go() -> tuple[list[str], int]:
        async with opened() as (broker, client):
            await broker.publish([of_key(name) for name in ("first", "second", "third", "last")])
            incoming = broker.deliveries([WORKFLOW])
            first = await anext(incoming)
            entries = await client.xrange(queue_of(broker))
            await read_all(broker, client)
            if after == "nack":
                await broker.nack(first, 0)
            await incoming.aclose()
            await client.xdel(queue_of(broker), entries[0][0], entries[1][0])
            ids = await receive_all(broker, 2)
            assert (await broker.depth()).total == 0
            return ids, await state_of(broker, client)

    assert within(go()) == (["third", "last"], 0)


def test_a_deleted_queue_leaves_no_key_busy() -> None:
    """A process has a message of it, which it can settle no more."""

    async def go() -> list[str]:
        async with opened() as (broker, client):
            await broker.publish([of_key("first")])
            async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                await anext(incoming)
                await client.delete(queue_of(broker))
                await broker.publish([of_key("second")])
                return [event_of(await anext(incoming)).id]

    assert within(go()) == ["second"]


def test_nothing_is_left_of_keys_that_were_settled() -> None:
    """A hash field for each workflow that ever ran would fill the server."""

    async def go() -> tuple[int, Depth]:
        async with opened() as (broker, client):
            await broker.publish([of_key(f"{n}", f"run-{n % 3}") for n in range(9)])
            await receive_all(broker, 9)
            return await state_of(broker, client), await broker.depth()

    assert within(go()) == (0, Depth())


def test_depth_counts_messages_that_wait_and_messages_that_are_nacked() -> None:
    """A drain must not end before they are settled."""

    async def go() -> tuple[Depth, Depth]:
        async with opened() as (broker, client):
            await broker.publish([of_key("first"), of_key("second")])
            incoming = broker.deliveries([WORKFLOW])
            first = await anext(incoming)
            await read_all(broker, client)
            await broker.nack(first, 60)
            nacked = await broker.depth()
            await incoming.aclose()
            return nacked, await broker.depth()

    assert within(go()) == (Depth(ready=1, delayed=1),) * 2


@pytest.mark.parametrize("headers", [{}, {"arvo-key": "a%20%F0%9F%A7%B5%2F"}, {"arvo-key": ""}])
@pytest.mark.parametrize("text", ["order-1", "漢字 🧵 \\u00e9"])
def test_the_server_finds_the_key_that_the_library_would_write(
    headers: dict[str, str], text: str
) -> None:
    """Events of one workflow come from other programs and from this library."""
    body = json.dumps({"subject": text})
    expected = ordering_key(with_subject(EncodedMessage(WORKFLOW, body.encode(), headers)))
    assert expected is not None

    assert within(key_on_the_server({"event": body, **headers})) == key_token(expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"arvo-key": "*", "event": event("plain").to_json()},
        {"arvo-due": "2026-01-02T03:04:05+00:00", "event": event("plain").to_json()},
        {"event": "[" * 5_000},
        {"event": "[]"},
        {"other": "x"},
    ],
)
def test_other_messages_have_no_key(fields: dict[str, str]) -> None:
    """Those that say so, timers, and those that are no event."""

    assert within(key_on_the_server(fields)) == ""


@pytest.mark.promise("I11")
@pytest.mark.parametrize("message", [to_workflow("e1"), to_service("e1")])
def test_failures_and_deaths_are_counted_apart(message: Message) -> None:
    """A nacked message with a key stays in its entry, and a deferred one is a new entry."""
    prefix = uuid4().hex

    counts = within(count_deaths(lambda: RedisBroker(redis_url(), prefix), message))

    assert counts == [before for _, before in LIFE]


@pytest.mark.promise("I11")
def test_a_message_that_waited_for_its_key_was_not_delivered_before() -> None:
    """Its process may die meanwhile, or the process that settles the one before it is gone."""

    async def go() -> list[tuple[str, int, int]]:
        seen = []
        async with opened(lease=0.3) as (broker, client):
            await broker.publish([of_key(name) for name in ("first", "second", "third")])
            stale = broker.deliveries([WORKFLOW])
            await anext(stale)
            await read_all(broker, client)
            await stale.aclose()
            other = RedisBroker(redis_url(), broker.prefix)
            for _ in range(3):
                # One process returns the next message to the queue, and another one takes it.
                async with aclosing(broker.deliveries([WORKFLOW])) as incoming:
                    delivery = await anext(incoming)
                    await other.ack(delivery)
                seen.append((event_of(delivery).id, delivery.attempt, delivery.returns))
            await other.close()
        return seen

    assert within(go()) == [("first", 2, 1), ("second", 1, 0), ("third", 1, 0)]
