"""Laws of watching: each entry of a history once, in order, and then the outcome."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import Client, Event, HistoryEntry, Runtime, Violated, WorkflowEnded
from tests.interpreters.watching.counting import begin_count, system
from tests.interpreters.within import within

# After how many items a watcher stops, to come back with the last position that it has.
BREAKS = st.lists(st.integers(0, 4), max_size=8)


async def watch_with_breaks(client: Client, workflow: str, breaks: list[int]) -> list[Any]:
    """Return what a watcher gets that stops again and again."""
    seen: list[Any] = []
    after, left = -1, list(breaks)
    while not seen or not isinstance(seen[-1], WorkflowEnded):
        most = left.pop() if left else None
        async with aclosing(client.watch(workflow, after=after)) as items:
            number = 0
            while number != most and (item := await anext(items, None)) is not None:
                number += 1
                seen.append(item)
                after = item.position if isinstance(item, HistoryEntry) else after
        await asyncio.sleep(0)
    return seen


async def run_watched(
    url: str, signals: int, watchers: list[list[int]], pauses: list[int]
) -> tuple[list[Any], list[list[Any]]]:
    """Run a count beside watchers of it; return its history, and what each of them got."""
    event = begin_count(signals)
    async with Runtime(system, url) as runtime, asyncio.TaskGroup() as group:
        watching = [
            group.create_task(watch_with_breaks(runtime, event.subject, breaks))
            for breaks in watchers
        ]
        await runtime.send(event)
        for number in range(signals):
            # Before or after the turns of those before.
            for _ in range(pauses[number % len(pauses)] if pauses else 0):
                await asyncio.sleep(0.001)
            await signal(runtime, event, number)
        seen = [await each for each in watching]
        return list(await runtime.history(event.subject)), seen


async def signal(runtime: Runtime, begun: Event[Any], number: int) -> None:
    """Signal a count that may not have begun."""
    while True:
        try:
            await runtime.signal(begun.subject, {"number": number}, type="com.count.tick")
        except Violated:
            await asyncio.sleep(0.001)
        else:
            return


def check_watchers(history: list[Any], seen: list[list[Any]]) -> None:
    """Each watcher has each entry once, in order, and the outcome behind them."""
    for items in seen:
        *entries, end = items
        assert entries == history
        assert isinstance(end, WorkflowEnded)
        assert end.status == "done"
        assert end.completion == history[-1].event


@settings(max_examples=30)
@given(
    signals=st.integers(0, 5),
    watchers=st.lists(BREAKS, min_size=1, max_size=3),
    pauses=st.lists(st.integers(0, 3), max_size=3),
)
def test_a_watcher_that_stops_and_resumes_gets_each_entry_once(
    signals: int, watchers: list[list[int]], pauses: list[int]
) -> None:
    """A browser loses its connection in any moment, and connects again with its last position."""
    check_watchers(*within(run_watched("memory:", signals, watchers, pauses)))


@settings(max_examples=10)
@given(signals=st.integers(0, 4), watchers=st.lists(BREAKS, min_size=1, max_size=3))
def test_a_watcher_of_a_file_gets_each_entry_once(signals: int, watchers: list[list[int]]) -> None:
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'watch.db'}"
        check_watchers(*within(run_watched(url, signals, watchers, [1])))
