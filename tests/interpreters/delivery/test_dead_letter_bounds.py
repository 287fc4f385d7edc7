"""Bounds of dead letters: every backend stores a limited number of them, for a limited time."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo import DeadLetter, InMemoryMachineMemory, MemoryBackend, Retention, SqliteBackend, paired
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.testing.conformance.kit.samples import dead_letter, event, recent
from tests.interpreters.postgres.schemas import schema_url
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.logged import logged

FEW = Retention(dead_letters_max=10)
SHORT = Retention(dead_letters=timedelta(days=1))
YESTERDAY = (datetime.now(UTC) - timedelta(hours=25)).isoformat(timespec="milliseconds")


def backends(tmp_path: Path, retention: Retention) -> dict[str, Callable[[], Any]]:
    return {
        "memory": lambda: MemoryBackend(retention=retention),
        "sqlite": lambda: SqliteBackend(str(tmp_path / "a.db"), retention=retention),
        "postgres": lambda: PostgresBackend(schema_url(tmp_path), retention=retention),
        "pair": lambda: paired(InMemoryMachineMemory(), MemoryBroker(), retention=retention),
    }


async def left(backend: Any, stored: list[DeadLetter], expected: set[str]) -> set[str]:
    """Store dead letters, and return those that are left once a sweep has run."""
    for one in stored:
        await backend.dead_letter(None, one)

    async def ids() -> set[str]:
        return {each.id for each in await backend.dead_letters()}

    async def is_swept() -> bool:
        return await ids() == expected

    await until(is_swept)
    found = await ids()
    await backend.close()
    return found


@pytest.mark.promise("I8")
@pytest.mark.parametrize("name", ["memory", "sqlite", "postgres"])
def test_the_oldest_dead_letters_above_the_number_are_removed_and_counted(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A flood of them must not fill the disk; the log has their number."""
    stored = [dead_letter(f"d{n}", event(f"e{n}"), at=recent(n)) for n in range(35)]
    newest = {f"d{n}" for n in range(25, 35)}

    assert within(left(backends(tmp_path, FEW)[name](), stored, newest)) == newest
    lines = logged(caplog.records, "the oldest dead letters were removed")
    assert sum(line["number"] for line in lines) == 25


@pytest.mark.promise("I8")
@pytest.mark.parametrize("name", ["sqlite", "postgres", "pair"])
def test_dead_letters_are_removed_when_their_time_is_over(name: str, tmp_path: Path) -> None:
    """None stays for ever, whether or not an operator looks at it."""
    stored = [dead_letter("old", event("e1"), at=YESTERDAY), dead_letter("new", event("e2"))]

    assert within(left(backends(tmp_path, SHORT)[name](), stored, {"new"})) == {"new"}


def test_in_memory_their_time_counts_from_the_moment_they_were_stored() -> None:
    """The clock of a runtime may be that of a test, years before."""
    now = datetime.now(UTC)

    async def go() -> list[int]:
        nonlocal now
        backend = MemoryBackend(retention=SHORT, now=lambda: now)
        await backend.dead_letter(None, dead_letter("old", event("e1"), at=YESTERDAY))
        numbers = [len(await backend.dead_letters())]
        now += timedelta(hours=25)
        return [*numbers, len(await backend.dead_letters())]

    assert within(go()) == [1, 0]


def test_the_url_sets_both_bounds(tmp_path: Path) -> None:
    """As it sets the other options of a backend."""
    options = "dead_letters_max=10&dead_letters_days=1"
    urls = (f"sqlite:///{tmp_path}/a.db?{options}", f"postgresql://db/shop?{options}")
    made: list[Any] = [backend_from_url(url) for url in urls]

    expected = Retention(dead_letters=timedelta(days=1), dead_letters_max=10)
    assert [each.retention for each in made] == [expected, expected]
    assert Retention() == Retention(dead_letters=timedelta(days=90), dead_letters_max=100_000)


def test_an_idle_backend_removes_many_at_once(tmp_path: Path) -> None:
    """One sweep removes more than one batch."""
    stored = [dead_letter(f"d{n}", event(f"e{n}"), at=recent(n)) for n in range(1_200)]

    async def go() -> int:
        backend = SqliteBackend(str(tmp_path / "a.db"), retention=Retention())
        await asyncio.gather(*(backend.dead_letter(None, one) for one in stored))
        await backend.close()
        bounded = SqliteBackend(str(tmp_path / "a.db"), retention=FEW)

        async def is_swept() -> bool:
            return len(await bounded.dead_letters()) == 10

        await until(is_swept)
        number = len(await bounded.dead_letters())
        await bounded.close()
        return number

    assert within(go()) == 10
