"""Backend: the operations for operators, on each backend that needs no server."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from arvo import Backend, MemoryBackend, Record
from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.protocol import Timer
from arvo.core.history import HistoryEntry
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import Committed, Conflict, Duplicate, StoredWorkflow
from arvo.interpreters.runtime.operations import history_entries
from arvo.interpreters.sqlite import SqliteBackend
from tests.shop import (
    NOW,
    CardCharged,
    expect_commit,
    order_request,
    reply_to,
    shop,
)

ORDER = "arvo.orc.order.fulfil"


@attrs.define
class Clock:
    """A clock that the test moves."""

    time: datetime = NOW

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


Work: TypeAlias = Callable[[Backend, Clock], Awaitable[None]]
Within: TypeAlias = Callable[[Work], None]


@pytest.fixture(params=["memory", "sqlite"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Within:
    """Run a test on a backend that uses the clock of the test."""

    def within(work: Work) -> None:
        async def go() -> None:
            clock = Clock()
            backend: Backend = (
                MemoryBackend(now=clock)
                if request.param == "memory"
                else SqliteBackend(str(tmp_path / "arvo.db"), now=clock)
            )
            try:
                async with asyncio.timeout(60):
                    await work(backend, clock)
            finally:
                await backend.close()

        asyncio.run(go())

    return within


async def commit_as_worker(backend: Backend, commit: Commit) -> Record:
    """Apply a commit as a worker would."""
    assert commit.record is not None
    await backend.send(Message(commit.event, ToHandler(ORDER, commit.event.subject)))
    delivery = await backend.receive(ORDER)
    assert await backend.commit(delivery, commit, [], []) == Committed()
    return commit.record


def begin(key: str, **changes: Any) -> Commit:
    """Make the commit that begins a workflow with a subject of its own."""
    commit = expect_commit(shop, order_request(key))
    assert commit.record is not None
    return attrs.evolve(commit, now=None, record=attrs.evolve(commit.record, **changes))


def ids(workflows: tuple[StoredWorkflow, ...]) -> list[str]:
    return [workflow.record.init for workflow in workflows]


def test_workflows_are_listed_the_most_recently_changed_first(on: Within) -> None:
    """An operator looks for the workflow that has just failed."""

    async def work(backend: Backend, clock: Clock) -> None:
        for key in ("a", "b", "c"):
            await commit_as_worker(backend, begin(key))
            clock.advance(1)
        [*_, oldest] = await backend.workflows()
        replaced = attrs.evolve(oldest.record, revision=2)
        assert await backend.replace_record(replaced, 1) == Committed()

        listed = await backend.workflows()

        assert ids(listed) == ["a", "c", "b"]
        assert listed[0] == StoredWorkflow(record=replaced, began=NOW, changed=clock())

    on(work)


def test_workflows_are_listed_by_status_by_handler_and_by_the_time_of_their_last_change(
    on: Within,
) -> None:
    """The workflows that make no progress are few among many."""

    async def work(backend: Backend, clock: Clock) -> None:
        await commit_as_worker(backend, begin("a"))
        await commit_as_worker(backend, begin("b", status="failed"))
        clock.advance(60)
        await commit_as_worker(backend, begin("c", status="failed"))
        await commit_as_worker(backend, begin("d", handler="arvo.orc.other"))

        assert ids(await backend.workflows(status="failed")) == ["c", "b"]
        assert ids(await backend.workflows(status="done")) == []
        assert ids(await backend.workflows(handler="arvo.orc.other")) == ["d"]
        quiet = await backend.workflows(unchanged_since=clock())
        assert sorted(ids(quiet)) == ["a", "b"]
        both = await backend.workflows(status="failed", handler=ORDER, unchanged_since=clock())
        assert ids(both) == ["b"]

    on(work)


def test_the_pages_of_a_list_contain_every_workflow(on: Within) -> None:
    """A hundred thousand workflows do not fit on a screen, and many change in one instant."""

    async def work(backend: Backend, clock: Clock) -> None:
        for number in range(7):
            await commit_as_worker(
                backend, begin(f"{number}", status=("active", "failed")[number % 2])
            )
            clock.advance(number // 3)
        whole = await backend.workflows()
        pages: list[StoredWorkflow] = []
        while page := await backend.workflows(limit=2, after=pages[-1] if pages else None):
            assert len(page) <= 2
            pages += page

        assert len(whole) == 7
        assert pages == list(whole)

    on(work)


def test_a_history_has_every_event_consumed_and_produced_in_order(on: Within) -> None:
    """B38: an operator sees how a workflow got to its state. The times are those of the turns."""

    async def work(backend: Backend, clock: Clock) -> None:
        first = expect_commit(shop, order_request())
        record = await commit_as_worker(backend, first)
        clock.advance(5)
        answer = reply_to(first.events[0], CardCharged("r"))
        second = expect_commit(shop, answer, record)
        await commit_as_worker(backend, second)

        entries = await backend.history(record.subject)

        events = [(entry.kind, entry.event and entry.event.to_dict()) for entry in entries]
        assert events == [
            ("consumed", first.event.to_dict()),
            ("produced", first.events[0].to_dict()),
            ("consumed", answer.to_dict()),
            ("produced", second.events[0].to_dict()),
        ]
        assert [entry.position for entry in entries] == [0, 1, 2, 3]
        assert [entry.revision for entry in entries] == [1, 1, 2, 2]
        assert {entry.at for entry in entries} == {NOW}
        assert await backend.history(record.subject, limit=2) == entries[2:]
        assert await backend.history(record.subject, before=3, limit=2) == entries[1:3]
        assert await backend.history("unknown") == ()
        newest_first = [
            entry async for entry in history_entries(backend, record.subject, page_max=3)
        ]
        assert newest_first == list(reversed(entries))

    on(work)


def test_a_record_that_an_operator_replaces_is_in_the_history(on: Within) -> None:
    """Otherwise the next turn could not be explained."""

    async def work(backend: Backend, clock: Clock) -> None:
        record = await commit_as_worker(backend, begin("a"))
        moved = attrs.evolve(record, revision=2, version="2.0.0")
        clock.advance(1)
        await backend.replace_record(moved, 1)

        assert (await backend.history(record.subject))[-1] == HistoryEntry(
            position=2, revision=2, kind="replaced", at=clock(), record=moved
        )

    on(work)


def make_timer(record: Record) -> PendingTimer:
    with_timer = attrs.evolve(record, timers={"end": Timer("t1", NOW.isoformat())})
    [timer] = pending_timers(shop, with_timer)
    return timer


def test_replacing_a_record_redelivers_events_and_sets_timers(on: Within) -> None:
    """A revived workflow needs the event on which it failed, and its timers."""

    async def work(backend: Backend, clock: Clock) -> None:
        first = expect_commit(shop, order_request())
        record = await commit_as_worker(backend, first)
        timer = make_timer(record)
        fired = Commit(handler=ORDER, event=timer.event, outcome="late")
        await backend.send(Message(timer.event, ToHandler(ORDER, record.subject)))
        await backend.commit(await backend.receive(ORDER), fired, [], [])
        revived = attrs.evolve(record, revision=2)

        stale = await backend.replace_record(revived, 7, timers=[timer], redeliver=[first.event])
        assert stale == Conflict(1)
        assert (await backend.depth()).total == 0

        replaced = await backend.replace_record(revived, 1, timers=[timer], redeliver=[first.event])
        assert replaced == Committed()
        deliveries = [await backend.receive(ORDER)]
        repeated = attrs.evolve(first, expected=2, record=attrs.evolve(record, revision=3))
        assert await backend.commit(deliveries[0], repeated, [], []) == Committed()
        deliveries.append(await backend.receive(ORDER))
        assert await backend.commit(deliveries[1], fired, [], []) == Committed()

        delivered = {delivery.message.event.id for delivery in deliveries}
        assert delivered == {first.event.id, timer.event.id}
        assert await backend.load(record.subject) == repeated.record

    on(work)


@pytest.mark.promise("I2")
def test_an_event_that_is_not_redelivered_stays_consumed(on: Within) -> None:
    """Replacing a record must not allow duplicates (promise I2)."""

    async def work(backend: Backend, clock: Clock) -> None:
        first = expect_commit(shop, order_request())
        record = await commit_as_worker(backend, first)
        await backend.replace_record(attrs.evolve(record, revision=2), 1)
        await backend.send(Message(first.event, ToHandler(ORDER, record.subject)))

        assert await backend.commit(await backend.receive(ORDER), first, [], []) == Duplicate()

    on(work)
