"""Limits: many processes hold them together, and repair what a process without limits leaves."""

import asyncio
import random

import asyncpg
import pytest

from arvo.engine.limits import Slot
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.results import Committed
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.session import maintenance
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    service_commit,
    to_service,
    to_workflow,
)
from tests import servers
from tests.interpreters.postgres.schemas import execute
from tests.interpreters.within import within

ONE, TWO = Slot("one", 1), Slot("two", 2)
DELIVERIES = 30


async def acquire(backend: PostgresBackend, delivery: Delivery, *slots: Slot) -> bool:
    [is_held] = await backend.acquire([SlotRequest(delivery, slots)])
    return is_held


async def send_two(backend: PostgresBackend) -> list[Delivery]:
    """Return two deliveries, of which the first one holds a slot and the second one waits."""
    for id_ in ("first", "second"):
        await backend.send(to_service(id_))
    first, second = [await backend.receive(SERVICE) for _ in range(2)]
    assert await acquire(backend, first, ONE)
    assert not await acquire(backend, second, ONE)
    return [first, second]


def test_concurrent_processes_hold_a_limit(url: str) -> None:
    """Of transactions that count, park and free at the same time each sees what the others did."""
    in_hand = {ONE: 0, TWO: 0}
    chance = random.Random(3)  # noqa: S311 - no secret, and the same in each run
    done: list[str] = []

    async def work(backend: PostgresBackend) -> None:
        while True:
            delivery = await backend.receive(SERVICE)
            slots = (TWO, ONE) if len(delivery.message.event.id) % 2 else (TWO,)
            if not await acquire(backend, delivery, *slots):
                continue
            for slot in slots:
                in_hand[slot] += 1
                assert in_hand[slot] <= slot.number
            await asyncio.sleep(chance.uniform(0.0, 0.003))
            for slot in slots:
                in_hand[slot] -= 1
            done.append(delivery.message.event.id)
            if chance.random() < 0.3 and delivery.attempt == 1:
                await backend.nack(delivery, 0.0)
            else:
                await backend.ack(delivery)

    async def go() -> None:
        backends = [PostgresBackend(url) for _ in range(3)]
        for backend in backends:
            backend.limit([SERVICE])
        workers = [asyncio.create_task(work(backend)) for backend in backends for _ in range(3)]
        for number in range(DELIVERIES):
            await backends[number % 3].send(to_service(f"e{number}"))
        idle = asyncio.create_task(backends[0].wait_until_idle())
        await asyncio.wait({idle, *workers}, return_when="FIRST_COMPLETED")
        for task in workers:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for backend in backends:
            await backend.close()

    within(go())

    assert set(done) == {f"e{number}" for number in range(DELIVERIES)}


def test_a_new_message_of_a_limited_handler_belongs_to_no_process(url: str) -> None:
    """Those that are committed with it belong to the process, as without any limit."""

    async def go() -> list[tuple[str, bool]]:
        backend = PostgresBackend(url)
        backend.limit([SERVICE])
        await backend.send(to_service("first"))
        delivery = await backend.receive(SERVICE)
        waiting = asyncio.create_task(backend.receive(WORKFLOW))
        await asyncio.sleep(0)
        messages = [to_service("next"), to_workflow("reply")]
        commit = service_commit(delivery, messages)
        assert await backend.commit(delivery, commit, messages, []) == Committed()
        await waiting
        connection = await asyncpg.connect(servers.postgres_url())
        rows = await connection.fetch(
            Dsn.parse(url).sql("select queue, owner is null from arvo.delivery order by id")
        )
        await connection.close()
        await backend.close()
        return [tuple(row) for row in rows]

    assert within(go()) == [(SERVICE, True), (WORKFLOW, False)]


def test_a_delivery_is_woken_whose_limit_is_gone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No release wakes it: the process that settles the one before it knows no limit."""
    monkeypatch.setattr(maintenance, "PURGE_SECONDS", 0.0)

    async def go() -> Delivery:
        backend = PostgresBackend(url)
        first, second = await send_two(backend)
        first.progress.slots = None
        await backend.ack(first)
        again = await backend.receive(SERVICE)
        assert again.message == second.message
        await backend.close()
        return again

    assert within(go()).attempt == 1


def test_a_slot_is_free_whose_holder_belongs_to_no_worker(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of a version without limits has released the deliveries of a dead worker."""
    monkeypatch.setattr(maintenance, "PURGE_SECONDS", 0.0)

    async def go() -> set[str]:
        backend = PostgresBackend(url)
        await send_two(backend)
        await execute(url, "update arvo.delivery set owner = null where owner > 0")
        done: set[str] = set()
        while len(done) < 2:
            delivery = await backend.receive(SERVICE)
            if await acquire(backend, delivery, ONE):
                done.add(delivery.message.event.id)
                await backend.ack(delivery)
        await backend.close()
        return done

    assert within(go()) == {"first", "second"}
