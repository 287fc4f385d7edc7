"""Laws of watching: each entry of a history once, in order, and then the outcome."""

import asyncio
from collections import Counter
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import Client, Event, HistoryEntry, Report, Runtime, Violated, WorkflowEnded
from arvo.interpreters.reports.local import LocalReports
from arvo.interpreters.reports.report import encode_batch
from arvo.interpreters.watching.reports import CurrentReports
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


# What happens to the reports of one workflow: an attempt of one of two turns reports, a turn ends
# (its entry is in the history), or the watcher reads.
Move = tuple[str, int]
MOVES = st.lists(
    st.tuples(st.sampled_from(["report", "late", "take over", "end", "read"]), st.integers(0, 1)),
    max_size=40,
)


@given(MOVES)
def test_reports_come_once_in_order_and_never_from_the_past(moves: list[Move]) -> None:
    """Whatever a worker that was replaced still publishes: a page would show two texts mixed."""

    async def go() -> None:
        local = LocalReports()
        newest, over, numbers = [1, 1], [False, False], Counter[tuple[int, int]]()
        shown: list[Report] = []
        async with local.read("s") as reader:
            current = CurrentReports(reader)
            for move, turn in moves:
                delivery = newest[turn] if move == "report" else max(1, newest[turn] - 1)
                match move:
                    case "report" | "late":
                        numbers[turn, delivery] += 1
                        entry = (1, 1, "effect", numbers[turn, delivery], b"1")
                        local.put("s", encode_batch(f"e{turn}", delivery, [entry]))
                    case "take over":
                        newest[turn] += 1
                    case "end":
                        over[turn] = True
                        first, rest = current.end_turns([consumed(turn)], await current.take())
                        assert all(report.event == f"e{turn}" for report in first)
                        shown += [*first, *rest]
                    case _:
                        fresh = await current.take()
                        assert not any(over[int(report.event[1:])] for report in fresh)
                        shown += fresh
        for turn in (0, 1):
            order = [(it.delivery, it.number) for it in shown if it.event == f"e{turn}"]
            assert order == sorted(set(order))

    within(go())


def consumed(turn: int) -> HistoryEntry:
    """Make the entry that shows the turn of an event to be over."""
    event = evolve(begin_count(0), id=f"e{turn}")
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return HistoryEntry(position=turn, revision=1, kind="consumed", at=now, event=event)
