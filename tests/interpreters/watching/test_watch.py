"""Watch: a client follows one workflow by its history."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    Client,
    HistoryEntry,
    InMemoryMachineMemory,
    MemoryBackend,
    MemoryBroker,
    Runtime,
    SystemFault,
    Unavailable,
    Violated,
    paired,
)
from arvo.interpreters.runtime import client as client_module
from arvo.interpreters.watching.history import PAGE_MAX
from tests.interpreters.watching.counting import (
    Begin,
    Counted,
    begin_count,
    ended,
    positions,
    system,
    watched,
)
from tests.interpreters.within import within


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/watch.db"


async def finish(runtime: Runtime, signals: int) -> None:
    """Run a count to its end."""
    await runtime.send(begin_count(signals))
    await runtime.drain(60)
    for number in range(signals):
        await runtime.signal("count-1", {"number": number}, type="com.count.tick")
    await runtime.drain(60)


def test_a_watcher_gets_the_history_and_the_outcome(url: str) -> None:
    """It begins before the workflow, which has no id before its first turn."""

    async def go() -> tuple[list[Any], list[HistoryEntry]]:
        async with Runtime(system, url) as runtime:
            watching = asyncio.create_task(watched(runtime, begin_count(3).subject))
            await finish(runtime, 3)
            return await watching, list(await runtime.history("count-1"))

    items, history = within(go())

    assert items[:-1] == history
    assert isinstance(items[0].event.data, Begin)
    end = ended(items)
    assert end.completion is not None
    assert (end.status, end.failure, end.completion.data) == ("done", None, Counted("0000"))


def test_a_watcher_that_comes_back_gets_the_rest(url: str) -> None:
    async def go() -> list[list[Any]]:
        async with Runtime(system, url) as runtime:
            await finish(runtime, 2)
            first = await watched(runtime, "count-1", items_max=3)
            rest = await watched(runtime, "count-1", after=positions(first)[-1])
            last = await watched(runtime, "count-1", after=positions(rest)[-1])
            return [first, rest, last]

    first, rest, last = within(go())

    assert positions(first) == [0, 1, 2]
    assert positions(rest) == list(range(3, 3 + len(rest) - 1))
    assert last == [ended(rest)]


def test_a_long_history_is_read_in_pages(url: str) -> None:
    async def go() -> list[Any]:
        async with Runtime(system, url) as runtime:
            await finish(runtime, PAGE_MAX)
            return await watched(runtime, "count-1")

    items = within(go())

    assert positions(items) == list(range(len(items) - 1))
    assert len(items) > 2 * PAGE_MAX


def test_a_watcher_goes_on_behind_what_the_backend_has_dropped() -> None:
    """Retention removes the oldest entries; a watcher with an old position must not wait."""

    async def go() -> list[list[int]]:
        backend = MemoryBackend()
        async with Runtime(system, backend) as runtime:
            await finish(runtime, 3 * PAGE_MAX)
            backend._history._drop_oldest(begin_count(1).subject)
            for _ in range(PAGE_MAX + 5):
                backend._history._drop_oldest(begin_count(1).subject)
            history = [entry.position for entry in await runtime.history("count-1")]
            return [history, positions(await watched(runtime, "count-1"))]

    history, seen = within(go())

    assert history[0] > PAGE_MAX
    assert seen == history


def test_a_failure_is_an_outcome(url: str) -> None:
    async def go() -> list[Any]:
        async with Runtime(system, url) as runtime:
            await finish(runtime, 13)
            return await watched(runtime, "count-1")

    end = ended(within(go()))

    assert (end.status, end.completion) == ("failed", None)
    assert isinstance(end.failure, SystemFault)
    assert "thirteen" in end.failure.message


def test_a_watch_of_a_workflow_that_is_removed_ends() -> None:
    async def go() -> list[Any]:
        backend = MemoryBackend()
        async with Runtime(system, backend) as runtime:
            await runtime.send(begin_count(1))
            await runtime.drain(60)
            stream = runtime.watch("count-1")
            seen = [await anext(stream)]
            backend._workflows._workflows.clear()
            return [*seen, *[item async for item in stream]]

    assert ended(within(go())).status is None


@pytest.mark.parametrize(
    ("workflow", "after", "text"),
    [
        ("count-1", -2, "after: expected the position of a history entry"),
        ("count-1", "0", "after: expected the position of a history entry"),
        ("count-9", -1, "there is no such workflow"),
    ],
)
def test_a_wrong_argument_is_refused(workflow: str, after: Any, text: str) -> None:
    async def go() -> None:
        async with Runtime(system) as runtime:
            await watched(runtime, workflow, after=after)

    with pytest.raises(Violated, match=text):
        within(go())


def test_a_backend_without_histories_cannot_be_watched() -> None:
    async def go() -> None:
        pair = paired(InMemoryMachineMemory(), MemoryBroker())
        async with Client(system, pair) as client:
            await watched(client, begin_count(1).subject)

    with pytest.raises(Violated, match="give the pair an index"):
        within(go())


def test_the_number_of_watchers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them reads the backend."""
    monkeypatch.setattr(client_module, "WATCHERS_MAX", 1)

    async def go() -> list[Any]:
        async with Runtime(system) as runtime:
            await finish(runtime, 1)
            first = runtime.watch("count-1")
            await anext(first)
            with pytest.raises(Unavailable, match="1 callers watch"):
                await watched(runtime, "count-1")
            await first.aclose()
            return await watched(runtime, "count-1")

    assert ended(within(go())).status == "done"
