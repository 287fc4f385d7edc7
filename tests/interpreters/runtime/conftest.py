"""Conftest: fixtures that run a test on each backend that needs no server."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from arvo import (
    Backend,
    MemoryBackend,
    Retry,
    Runtime,
    System,
)
from arvo.interpreters.sqlite import SqliteBackend
from tests.interpreters.runtime.running import MAKE_BACKEND, On, Work


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
            async with asyncio.timeout(20), Runtime(system, backend, retry=Retry(1)) as runtime:
                await work(runtime)

        asyncio.run(go())

    return within
