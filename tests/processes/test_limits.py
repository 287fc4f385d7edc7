"""Limits: four processes hold them together, also when processes are killed."""

import asyncio
from pathlib import Path

from tests.processes.limits import notes, run_limited, send_shipments, wait_until_idle
from tests.processes.test_order import postgres_server
from tests.processes.workers import start_workers

WORKERS = 4
SHIPMENTS = 30
KILLS = 1
TIMEOUT_SECONDS = 180.0


def check(url: str, folder: Path) -> None:
    """Ship shipments with four processes, of which some are killed and replaced."""
    with start_workers(url, WORKERS, run_limited) as workers:
        for part in range(KILLS + 1):
            asyncio.run(send_shipments(url, folder, range(part, SHIPMENTS, KILLS + 1)))
            if part < KILLS:
                workers.kill(workers.processes[0])
                workers.start()
        asyncio.run(wait_until_idle(url, TIMEOUT_SECONDS))
        workers.stop()

    assert notes(folder, "exceeded") == set()
    assert notes(folder, "loaded") == set(range(SHIPMENTS))


def test_four_processes_hold_limits_on_sqlite(tmp_path: Path) -> None:
    """A dead process gives its slots back, and what waits for them is shipped."""
    check(f"sqlite:///{tmp_path}/limits.db", tmp_path)


def test_four_processes_hold_limits_on_postgres(tmp_path: Path) -> None:
    """As on SQLite, with many transactions at once."""
    with postgres_server() as (url, _):
        check(url, tmp_path)
