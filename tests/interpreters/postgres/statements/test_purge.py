"""Purge: expired rows are deleted, no other, and without delaying timers."""

import asyncio
from datetime import UTC, datetime, timedelta
from math import inf

import asyncpg
import pytest

from arvo import Retention
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.retention import PURGE_BATCH_ROWS
from arvo.interpreters.ports.results import Committed
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.session import maintenance
from arvo.interpreters.postgres.statements import purge
from arvo.testing.conformance.kit.samples import WORKFLOW, timer, to_workflow, turn_commit
from tests import servers
from tests.interpreters.until import until
from tests.interpreters.within import within

# The counts of workflows, history entries and consumed events, after so many days.
EXPECTED = [(4, 4, 4), (4, 4, 0), (2, 2, 0)]


async def count_rows(url: str) -> tuple[int, ...]:
    connection = await asyncpg.connect(servers.postgres_url())
    row = await connection.fetchrow(
        Dsn.parse(url).sql(
            "select (select count(*) from arvo.workflow), (select count(*) from arvo.history),"
            " (select count(*) from arvo.inbox)"
        )
    )
    await connection.close()
    assert row is not None
    return tuple(row.values())


async def finish_workflow(backend: PostgresBackend, run: str, status: str) -> None:
    await backend.send(to_workflow("begin", run=run))
    delivery = await backend.receive(WORKFLOW)
    commit = turn_commit(delivery, 1, run=run, status=status)
    assert await backend.commit(delivery, commit, [], []) == Committed()


def test_finished_work_is_deleted_when_its_retention_ends(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else: a workflow that waits stays, and so does one that failed."""
    monkeypatch.setattr(maintenance, "PURGE_SECONDS", 0.0)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    now = [start]

    async def go() -> None:
        retention = Retention(inbox=timedelta(days=1), finished=timedelta(days=2))
        backend = PostgresBackend(url, now=lambda: now[0], retention=retention)
        for run, status in (("a", "done"), ("b", "cancelled"), ("c", "active"), ("d", "failed")):
            await finish_workflow(backend, run, status)

        async def is_purged(expected: tuple[int, ...]) -> bool:
            assert backend._sessions._maintenance is not None
            backend._sessions._maintenance.wake()
            await asyncio.sleep(0.02)
            return await count_rows(url) == expected

        for days, expected in enumerate(EXPECTED):
            now[0] = start + timedelta(days=days, seconds=1)
            await until(lambda: is_purged(expected))  # noqa: B023
        # A few more polls change nothing.
        for _ in range(3):
            assert await is_purged(EXPECTED[-1])
        await backend.close()

    within(go())


def test_a_batch_is_small_although_one_workflow_was_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that takes longer than a transaction may take would fail for ever."""
    monkeypatch.setattr(purge, "ENTRIES_MAX", 1)
    # No purge of the backend itself, which would take the lock.
    monkeypatch.setattr(maintenance, "PURGE_SECONDS", inf)

    async def go() -> list[int]:
        backend = PostgresBackend(url)
        for run in ("a", "b", "c"):
            await finish_workflow(backend, run, "done")
        retention, later = Retention(inbox=None), utc_now() + timedelta(days=31)
        counts = []
        for _ in range(4):
            await backend._read(lambda c: purge.purge(c, backend.dsn, retention, later))
            counts.append(len(await backend.workflows()))
        await backend.close()
        return counts

    assert within(go()) == [2, 1, 0, 0]


def test_a_timer_does_not_wait_until_everything_is_purged(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a week's worth of expired rows, deleted batch by batch."""

    async def delete_full_batch(*_: object) -> int:
        await asyncio.sleep(0.1)
        return PURGE_BATCH_ROWS

    monkeypatch.setattr(maintenance, "purge", delete_full_batch)

    async def go() -> str:
        backend = PostgresBackend(url)
        await backend.send(to_workflow("begin"))
        begin = await backend.receive(WORKFLOW)
        commit = turn_commit(begin, 1, timers=[timer("soon", 0.1)])
        assert await backend.commit(begin, commit, [], []) == Committed()
        fired = await backend.receive(WORKFLOW)
        await backend.close()
        return fired.message.event.id

    assert within(go()) == "soon"
