"""Conftest: fixtures that run a test on each backend that needs no server."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    Backend,
    MemoryBackend,
    Retry,
    Runtime,
    System,
)
from arvo.interpreters.nats import NatsBroker, NatsMemory
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.postgres import PostgresBackend, PostgresMemory
from arvo.interpreters.redis import RedisBroker, RedisMemory
from arvo.interpreters.sqlite import SqliteBackend
from tests.interpreters.nats.test_conformance import prefix_of
from tests.interpreters.postgres.schemas import schema_url
from tests.interpreters.runtime.running import MAKE_BACKEND, On, Work
from tests.servers import nats_url, redis_url


@pytest.fixture(params=["memory", "sqlite"])
def each_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Run a test on the memory backend, and on a SQLite file of its own."""
    number = count()

    def make() -> str | Backend:
        if request.param == "memory":
            return "memory:"
        return SqliteBackend(f"{tmp_path}/{next(number)}.db")

    token = MAKE_BACKEND.set(make)
    yield
    MAKE_BACKEND.reset(token)


@pytest.fixture(params=["memory", "sqlite"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> On:
    """Run a system on each kind of backend."""

    def within(system: System, work: Work) -> None:
        async def go() -> None:
            backend: Backend = (
                MemoryBackend()
                if request.param == "memory"
                else SqliteBackend(str(tmp_path / "arvo.db"))
            )
            async with asyncio.timeout(60), Runtime(system, backend, retry=Retry(1)) as runtime:
                await work(runtime)

        asyncio.run(go())

    return within


@pytest.fixture(params=["memory", "sqlite", "postgres", "nats", "redis", "postgres-redis"])
def open_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Backend]:
    """Return a function that opens a backend; all that it opens share their data."""
    name, shared = prefix_of(tmp_path), MemoryBackend()

    def pair(memory: Any, broker: Any) -> Backend:
        return Pair(memory, broker, owned=True)

    makers: dict[str, Callable[[], Backend]] = {
        "memory": lambda: shared,
        "sqlite": lambda: SqliteBackend(str(tmp_path / "arvo.db")),
        "postgres": lambda: PostgresBackend(schema_url(tmp_path)),
        "nats": lambda: pair(
            NatsMemory(nats_url(), prefix=name), NatsBroker(nats_url(), prefix=name)
        ),
        "redis": lambda: pair(RedisMemory(redis_url(), name), RedisBroker(redis_url(), name)),
        "postgres-redis": lambda: pair(
            PostgresMemory(schema_url(tmp_path)), RedisBroker(redis_url(), name)
        ),
    }
    return makers[request.param]
