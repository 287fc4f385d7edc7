"""Schedules: workers that are killed at random moments begin each occurrence once."""

import asyncio
import random
from pathlib import Path

import pytest

from arvo import Client
from tests.processes import schedules
from tests.processes.schedules import TIMEOUT_SECONDS, count_begun
from tests.processes.test_order import postgres_server
from tests.processes.workers import Workers, start_workers

# Each schedule begins so many runs at least, and so many workers are killed while it does.
RUNS = 3
KILLS = 4


async def kill_while_they_begin(url: str, workers: Workers) -> None:
    """Kill a worker each time that a run has begun, until all schedules have begun some."""
    chance, kills, before = random.Random(5), 0, 0  # noqa: S311 - no secret
    async with asyncio.timeout(TIMEOUT_SECONDS), Client(schedules.system, url) as client:
        while min(begun := await count_begun(client)) < RUNS or kills < KILLS:
            if sum(begun) > before and kills < KILLS:
                before, kills = sum(begun), kills + 1
                workers.kill(chance.choice(workers.processes))
                await asyncio.to_thread(workers.start)
            await asyncio.sleep(0.02)
        await schedules.end_schedules(client)
        await schedules.check(client)


def kill_schedulers(url: str) -> None:
    """Let two processes begin the schedules, and kill them now and then."""
    with start_workers(url, 2, schedules.run_worker) as workers:
        asyncio.run(kill_while_they_begin(url, workers))
        workers.stop()


@pytest.mark.promise("I1", "I2", "I7")
def test_each_occurrence_begins_once_on_sqlite_whatever_is_killed(tmp_path: Path) -> None:
    """I1, I2, I7: every policy, two schedulers, four kills."""
    kill_schedulers(f"sqlite:///{tmp_path}/schedules.db")


@pytest.mark.promise("I1", "I2", "I7")
def test_each_occurrence_begins_once_on_postgres_whatever_is_killed() -> None:
    """I1, I2, I7: the same on a server of its own."""
    with postgres_server() as (url, _):
        kill_schedulers(url)
