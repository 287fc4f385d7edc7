"""Watching: a watcher goes on when the worker is killed in the middle of a stream."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from arvo import HistoryEntry, Report, WorkflowEnded
from tests.forked import Forked
from tests.interpreters.postgres.schemas import schema_url
from tests.processes.test_order import SERVERS
from tests.processes.watching import Written, run_writer, watch_writer
from tests.processes.workers import Workers


def kill_in_the_stream(url: str, folder: Path) -> None:
    """Kill the worker at its first report, and let the next one end the effect."""
    path, workers = folder / "ends", Workers(url)

    def start() -> None:
        process = Forked.start(run_writer, url)
        workers.processes.append(process)
        assert process.wait_until_working()

    def replace() -> None:
        workers.kill(workers.processes[0])
        start()

    start()
    try:
        items = asyncio.run(within_time(watch_writer(url, path, replace, path.touch)))
        workers.stop()
    finally:
        for process in list(workers.processes):
            workers.kill(process)
    *rest, end = items
    reports = [item for item in rest if isinstance(item, Report)]
    entries = [item for item in rest if isinstance(item, HistoryEntry)]

    assert [entry.position for entry in entries] == [0, 1]
    # By the attempts, and within each in order.
    shown = [(each.delivery, each.attempt, each.number) for each in reports]
    assert shown == sorted(set(shown))
    first, last = reports[0], reports[-1]
    assert (first.delivery, first.value.keys()) == (1, {"word"})
    assert last.delivery > 1
    assert last.value == {"word": "last"}
    assert isinstance(end, WorkflowEnded)
    assert end.completion is not None
    assert isinstance(end.completion.data, Written)


async def within_time(work: object) -> list[object]:
    async with asyncio.timeout(120):
        return await work  # type: ignore[misc,no-any-return]


def test_a_watcher_outlives_a_worker_on_sqlite(tmp_path: Path) -> None:
    """It shows the retry from its beginning, and then the outcome."""
    kill_in_the_stream(f"sqlite:///{tmp_path}/text.db", tmp_path)


def test_a_watcher_outlives_a_worker_on_postgres(tmp_path: Path) -> None:
    kill_in_the_stream(schema_url(tmp_path), tmp_path)


@pytest.mark.deep
@pytest.mark.parametrize("start", SERVERS)
def test_a_watcher_outlives_a_worker_on_a_server(
    start: Callable[[], AbstractContextManager[tuple[str, Callable[[], None]]]], tmp_path: Path
) -> None:
    with start() as (url, _):
        kill_in_the_stream(url, tmp_path)
