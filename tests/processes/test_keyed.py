"""Keyed: workers that are killed at random moments debounce, batch and throttle each event once."""

import asyncio
import random
from pathlib import Path

import pytest

from arvo import Client
from tests.processes import keyed
from tests.processes.keyed import TIMEOUT_SECONDS
from tests.processes.test_order import postgres_server
from tests.processes.workers import Workers, start_workers

# The changes of each page for each workflow, and after how many of them a worker is killed.
CHANGES = 15
CHANGES_BETWEEN_KILLS = 4


async def kill_while_they_hold(url: str, workers: Workers) -> None:
    """Send all changes, and kill a worker now and then; check what was sent on in the end."""
    chance = random.Random(3)  # noqa: S311 - no secret
    async with asyncio.timeout(TIMEOUT_SECONDS), Client(keyed.system, url) as client:
        for number in range(CHANGES):
            await keyed.send_change(client, number)
            # Some windows and batches are closed by the clock, and some by the next event.
            await asyncio.sleep(chance.choice((0, 0, 0.12)))
            if number % CHANGES_BETWEEN_KILLS == 1:
                workers.kill(chance.choice(workers.processes))
                await asyncio.to_thread(workers.start)
        await keyed.wait_for_end(client)
        await keyed.check(client, CHANGES)


def kill_keyers(url: str) -> None:
    """Let two processes hold events, and kill them now and then."""
    with start_workers(url, 2, keyed.run_worker) as workers:
        asyncio.run(kill_while_they_hold(url, workers))
        workers.stop()


@pytest.mark.promise("I1", "I2", "I7")
def test_each_event_counts_once_on_sqlite_whatever_is_killed(tmp_path: Path) -> None:
    """I1, I2, I7: debounce, batch, throttle and singleton on two workers, four kills."""
    kill_keyers(f"sqlite:///{tmp_path}/keyed.db")


@pytest.mark.promise("I1", "I2", "I7")
def test_each_event_counts_once_on_postgres_whatever_is_killed() -> None:
    """I1, I2, I7: the same on a server of its own."""
    with postgres_server() as (url, _):
        kill_keyers(url)
