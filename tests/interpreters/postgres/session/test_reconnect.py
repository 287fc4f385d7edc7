"""Reconnect: a backend finds its server again, and reports what cannot be repaired."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from arvo import Runtime
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.results import Committed, Fenced
from arvo.interpreters.postgres import PostgresBackend, PostgresMemory
from arvo.interpreters.postgres.statements import deliveries
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    service_commit,
    to_service,
    to_workflow,
    turn_commit,
)
from tests import servers
from tests.interpreters.within import within
from tests.server_process import Server, free_port
from tests.shop import order_request, shop

T = TypeVar("T")


async def retry(call: Callable[[], Awaitable[T]]) -> T:
    """Call again while the server is not available."""
    while True:
        with suppress(Unavailable):
            return await call()
        await asyncio.sleep(0.01)


def test_a_server_that_restarts_is_found_again(server: Server) -> None:
    """A waiting call goes on; what was taken is delivered again, and what was sent is there."""

    async def go() -> None:
        backend = PostgresBackend(server.url)
        await backend.send(to_workflow("begin"))
        stale = await backend.receive(WORKFLOW)
        waiting = asyncio.create_task(backend.receive(SERVICE))
        await asyncio.sleep(0)
        await asyncio.to_thread(server.stop)
        with pytest.raises(Unavailable):
            await backend.send(to_service("lost"))
        await asyncio.to_thread(server.start)

        late = turn_commit(stale, 1)
        assert await retry(lambda: backend.commit(stale, late, [], [])) == Fenced()
        again = await retry(lambda: backend.receive(WORKFLOW))
        assert again.message == stale.message
        request = to_service("ask")
        commit = turn_commit(again, 1, messages=[request])
        assert await backend.commit(again, commit, [request], []) == Committed()
        delivery = await waiting
        assert delivery.message == request
        assert await backend.commit(delivery, service_commit(delivery), [], []) == Committed()
        await backend.wait_until_idle()
        await backend.close()

    within(go())


def test_a_workflow_goes_on_when_the_server_is_back(server: Server) -> None:
    """The runtime waits, and completes it."""

    async def go() -> str:
        async with Runtime(shop, server.url) as runtime:
            await runtime.send(order_request())
            await asyncio.to_thread(server.restart)
            while True:
                record = await retry(lambda: runtime.record(order_request().subject))
                if record is not None and record.status == "done":
                    return record.status
                await asyncio.sleep(0.01)

    assert within(go()) == "done"


def test_a_store_finds_its_server_again(server: Server) -> None:
    """As the other half of a pair does."""

    async def go() -> object:
        memory = PostgresMemory(server.url)
        await memory.write("one", b"stored", 0)
        await asyncio.to_thread(server.restart)
        stored = await retry(lambda: memory.read("one"))
        await memory.close()
        return stored and stored.record

    assert within(go()) == b"stored"


@pytest.mark.parametrize("made", [PostgresBackend, PostgresMemory])
def test_a_server_that_is_not_there_is_unavailable(made: Any) -> None:
    """Every call says so, and the next may succeed."""

    async def go() -> None:
        port = free_port()
        one = made(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        for _ in range(2):
            with pytest.raises(Unavailable, match="Postgres"):
                await (one.dead_letters() if made is PostgresBackend else one.read("one"))
        await one.close()

    within(go())


def test_a_database_that_does_not_exist_needs_an_operator() -> None:
    """Waiting would not help."""

    async def go() -> None:
        url = servers.postgres_url().replace("/postgres", "/no_such_database")
        backend = PostgresBackend(url)
        with pytest.raises(Corrupt, match=r"no_such_database.*mend the URL"):
            await backend.dead_letters()
        await backend.close()

    within(go())


def test_an_option_that_no_part_of_the_stack_knows_is_refused_by_name(url: str) -> None:
    """A misspelt one goes to the server as a setting, and the server has none of this name."""

    async def go() -> None:
        backend = PostgresBackend(f"{url}&shema=orders")
        with pytest.raises(Corrupt, match="shema"):
            await backend.dead_letters()
        await backend.close()

    within(go())


@pytest.mark.parametrize("statement", ["claim", "poll"])
def test_a_background_task_that_fails_for_good_fails_the_calls_that_wait(
    url: str, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """A task that died in silence would leave them waiting for ever."""

    async def break_down(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(deliveries, statement, break_down)

    async def go() -> None:
        backend = PostgresBackend(url)
        try:
            await backend.receive(SERVICE)
        finally:
            await backend.close()

    with pytest.raises(RuntimeError, match="a bug"):
        within(go())
