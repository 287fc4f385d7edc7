"""Reports: a watcher gets what the effects of a workflow report."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    CarriesReports,
    Client,
    Effects,
    Flow,
    HistoryEntry,
    InMemoryIndex,
    InMemoryMachineMemory,
    MemoryBackend,
    MemoryBroker,
    Retry,
    Runtime,
    System,
    Unavailable,
    WorkflowEnded,
    ask,
    call,
    gather,
    paired,
    report,
    service,
    workflow,
)
from arvo.interpreters.calls import reports as collecting
from arvo.interpreters.ports.messages import Delivery
from tests.interpreters.watching.reporting import Begin, Ended, Watcher, reporting, run_watched
from tests.interpreters.within import within


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/watch.db"


def numbers(items: Any) -> list[tuple[int, int, int, int]]:
    return [(each.call, each.delivery, each.attempt, each.number) for each in items]


def test_reports_come_before_the_entries_of_their_turn(url: str) -> None:
    """All of them, also the last ones: the turn waits a moment for those."""

    async def go() -> list[Any]:
        watcher = Watcher()

        async def count() -> int:
            await watcher.started()
            for percent in range(0, 101, 25):
                report({"percent": percent})
            return 1

        return [watcher, await run_watched(watcher, reporting(count), url)]

    watcher, items = within(go())

    assert watcher.values == [{"percent": percent} for percent in range(0, 101, 25)]
    assert [type(item) for item in items[5:]] == [HistoryEntry, HistoryEntry, WorkflowEnded]
    assert all(each.effect.startswith("test_reports_come") for each in watcher.reports)
    assert {each.event for each in watcher.reports} == {items[5].event.id}
    first = watcher.reports[0].number
    assert numbers(watcher.reports) == [(1, 1, 1, first + number) for number in range(5)]


def test_a_plain_function_reports_from_its_thread() -> None:
    async def go() -> list[Any]:
        watcher = Watcher()

        def count() -> int:
            while not watcher.is_watching.is_set():
                report("waiting")
                time.sleep(0.005)
            for number in range(3):
                report(number)
            return 1

        await run_watched(watcher, reporting(count))
        return watcher.values

    assert within(go()) == [0, 1, 2]


def test_the_calls_of_a_turn_have_numbers() -> None:
    """Two texts that are written side by side."""

    async def go() -> Watcher:
        watcher = Watcher()

        async def write(word: str) -> str:
            await watcher.started()
            for _ in range(3):
                report(word)
                await asyncio.sleep(0)
            return word

        @workflow("report.two")
        def two(request: Begin) -> Flow[Ended]:
            yield from gather(call(write, "a"), call(write, "b"))
            return Ended(request.name)

        await run_watched(watcher, two)
        return watcher

    watcher = within(go())

    by_call = {each.call: each.value for each in watcher.reports}
    assert sorted(by_call.values()) == ["a", "b"]
    assert all(by_call[each.call] == each.value for each in watcher.reports)


def test_a_service_reports_to_those_who_watch_the_workflow() -> None:
    """The tokens of a model come from a service that any workflow may ask."""

    @frozen
    class Write:
        about: str

    @frozen
    class Written:
        text: str

    async def go() -> Watcher:
        watcher = Watcher()

        async def tokens(about: str) -> str:
            await watcher.started()
            report(about)
            return about

        @service("com.model.write")
        def write(request: Write) -> Effects[Written]:
            return Written((yield from call(tokens, request.about)))

        @workflow("report.essay", services=[write])
        def essay(request: Begin) -> Flow[Ended]:
            written = yield from ask(Write(request.name), Written)
            return Ended(written.text)

        await run_watched(watcher, essay, others=[write])
        return watcher

    watcher = within(go())

    assert watcher.values == ["one"]
    assert [type(item).__name__ for item in watcher.items][-1] == "WorkflowEnded"


def test_each_attempt_begins_anew_and_is_numbered() -> None:
    """A page clears the text that the attempt before has shown."""

    async def go() -> Watcher:
        watcher, tries = Watcher(), iter(range(1, 10))

        async def flaky() -> int:
            await watcher.started()
            number = next(tries)
            report(f"try {number}")
            if number < 3:
                raise ConnectionError("again")
            return number

        await run_watched(watcher, reporting(flaky, retry=Retry(attempts=3, delay=0.0)))
        return watcher

    watcher = within(go())

    assert [(each.value, each.attempt) for each in watcher.reports] == [
        ("try 1", 1),
        ("try 2", 2),
        ("try 3", 3),
    ]


def test_a_thread_that_was_abandoned_reports_no_more() -> None:
    """It goes on behind the timeout of its attempt, while the next one runs."""
    is_next, is_late = threading.Event(), threading.Event()

    async def go() -> Watcher:
        watcher, tries = Watcher(), iter(range(1, 100))

        def slow() -> int:
            if next(tries) == 1:
                is_next.wait(60)
                for _ in range(3):
                    report("late")
                is_late.set()
                return 1
            is_next.set()
            is_late.wait(60)
            while not watcher.is_watching.is_set():
                report("waiting")
                time.sleep(0.005)
            report("in time")
            return 2

        retry = Retry(attempts=50, delay=0.0)
        await run_watched(watcher, reporting(slow, retry=retry, timeout=0.5))
        return watcher

    watcher = within(go())

    assert "late" not in watcher.values
    assert watcher.values[-1] == "in time"
    assert watcher.reports[-1].attempt >= 2


def test_an_effect_that_is_cancelled_reports_nothing_more() -> None:
    async def go() -> Watcher:
        watcher = Watcher()

        async def hang() -> int:
            await watcher.started()
            report("first")
            try:
                await asyncio.Event().wait()
            finally:
                report("cancelled")
            return 1

        flow = reporting(hang)
        event = flow["1.0.0"].init(Begin("one"), source="com.a.b", workflow_id="report-1")
        async with Runtime(System([flow])) as runtime, asyncio.TaskGroup() as group:
            group.create_task(watcher.follow(runtime, event.subject))
            await runtime.send(event)
            await watcher.has_report.wait()
            await runtime.cancel(event.subject, "no more")
        return watcher

    watcher = within(go())

    assert watcher.values == ["first"]
    assert watcher.items[-1].status == "cancelled"


def test_what_comes_too_fast_is_dropped_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker takes no memory without end for watchers."""
    monkeypatch.setattr(collecting, "BATCH_BYTES_MAX", 10 * 1024)

    async def go() -> Watcher:
        watcher = Watcher()

        async def flood() -> int:
            await watcher.started()
            for number in range(1_000):
                report(number)
            return 1

        await run_watched(watcher, reporting(flood))
        return watcher

    values = within(go()).values

    assert values[-1] == 999
    assert values == list(range(values[0], 1_000))
    assert 1 < len(values) < 20


def test_an_effect_does_not_fail_because_its_reports_are_lost() -> None:
    """A report is worth less than the work that it is about."""

    async def go() -> Any:
        backend = MemoryBackend()

        class Refusing:
            async def publish(self, delivery: Delivery, batch: bytes) -> None:  # noqa: ARG002
                raise Unavailable("no reports today")

        backend.reports = Refusing()  # type: ignore[assignment]

        async def count() -> int:
            report(1)
            return 1

        flow = reporting(count)
        event = flow["1.0.0"].init(Begin("one"), source="com.a.b", workflow_id="report-1")
        async with Runtime(System([flow]), backend) as runtime:
            return await runtime.request(event)

    assert within(go()).data == Ended("one")


def test_a_backend_that_carries_no_reports_is_watched_without_them() -> None:
    """Its client says so, and the history comes all the same."""

    class Silent:
        """The memory broker, without its reports."""

        def __init__(self) -> None:
            inner = MemoryBroker()
            self.publish, self.deliveries = inner.publish, inner.deliveries
            self.ack, self.nack, self.depth = inner.ack, inner.nack, inner.depth
            self.dead_letter = inner.dead_letter

    async def count() -> int:
        report(1)
        return 1

    async def go() -> tuple[bool, bool, list[Any]]:
        pair = paired(InMemoryMachineMemory(), Silent(), index=InMemoryIndex())
        watcher = Watcher()
        await run_watched(watcher, reporting(count), pair)
        other = Client(System([]), MemoryBackend())
        return Client(System([]), pair).carries_reports, other.carries_reports, watcher.items

    silent, memory, items = within(go())

    assert (silent, memory) == (False, True)
    assert [type(item) for item in items] == [HistoryEntry, HistoryEntry, WorkflowEnded]
    assert isinstance(MemoryBackend(), CarriesReports)
