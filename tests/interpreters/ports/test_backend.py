"""Ports: what every backend owes an operator, on each that we have."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from arvo import Backend, MemoryBackend, Record
from arvo.core.commit import Commit, PendingTimer
from arvo.core.history import HistoryEntry
from arvo.engine.step.event_factory import alarms_of
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import Committed, Conflict, Duplicate, Message, StoredWorkflow
from arvo.interpreters.runtime.operations import lines as every_line
from arvo.interpreters.sqlite import SqliteBackend
from tests.shop import (
    NOW,
    CardCharged,
    answering,
    committed,
    placing,
    shop,
)

ORDER = "arvo.orc.order.fulfil"


@attrs.define
class Clock:
    """A clock that a test moves."""

    time: datetime = NOW

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


Work: TypeAlias = Callable[[Backend, Clock], Awaitable[None]]
Within: TypeAlias = Callable[[Work], None]


@pytest.fixture(params=["memory", "sqlite"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Within:
    """Do something with a backend that goes by a clock of ours."""

    def within(work: Work) -> None:
        async def go() -> None:
            clock = Clock()
            backend: Backend = (
                MemoryBackend(now=clock)
                if request.param == "memory"
                else SqliteBackend(str(tmp_path / "arvo.db"), now=clock)
            )
            try:
                async with asyncio.timeout(10):
                    await work(backend, clock)
            finally:
                await backend.close()

        asyncio.run(go())

    return within


async def keep(backend: Backend, commit: Commit) -> Record:
    """Have a commit applied as a worker would."""
    assert commit.record is not None
    await backend.send(Message(commit.event, ToHandler(ORDER, commit.event.subject)))
    delivery = await backend.receive(ORDER)
    assert await backend.commit(delivery, commit, [], []) == Committed()
    return commit.record


def begun(key: str, **changes: Any) -> Commit:
    """Begin a workflow of a subject of its own."""
    commit = committed(shop, placing(key))
    assert commit.record is not None
    return attrs.evolve(commit, now=None, record=attrs.evolve(commit.record, **changes))


def ids(kept: tuple[StoredWorkflow, ...]) -> list[str]:
    return [each.record.init for each in kept]


def test_workflows_are_listed_the_one_that_changed_last_first(on: Within) -> None:
    """What just went wrong is what an operator looks for."""

    async def work(backend: Backend, clock: Clock) -> None:
        for key in ("a", "b", "c"):
            await keep(backend, begun(key))
            clock.pass_by(1)
        [*_, oldest] = await backend.workflows()
        amended = attrs.evolve(oldest.record, revision=2)
        assert await backend.replace_record(amended, 1) == Committed()

        listed = await backend.workflows()

        assert ids(listed) == ["a", "c", "b"]
        assert listed[0] == StoredWorkflow(record=amended, began=NOW, changed=clock())

    on(work)


def test_workflows_are_listed_by_status_by_handler_and_by_how_long_they_have_been_quiet(
    on: Within,
) -> None:
    """The ones that do not progress are few among many."""

    async def work(backend: Backend, clock: Clock) -> None:
        await keep(backend, begun("a"))
        await keep(backend, begun("b", status="failed"))
        clock.pass_by(60)
        await keep(backend, begun("c", status="failed"))
        await keep(backend, begun("d", handler="arvo.orc.other"))

        assert ids(await backend.workflows(status="failed")) == ["c", "b"]
        assert ids(await backend.workflows(status="done")) == []
        assert ids(await backend.workflows(handler="arvo.orc.other")) == ["d"]
        quiet = await backend.workflows(unchanged_since=clock())
        assert sorted(ids(quiet)) == ["a", "b"]
        both = await backend.workflows(status="failed", handler=ORDER, unchanged_since=clock())
        assert ids(both) == ["b"]

    on(work)


def test_a_list_comes_in_pages_that_miss_nobody(on: Within) -> None:
    """A hundred thousand workflows do not fit on a screen; many change in one instant."""

    async def work(backend: Backend, clock: Clock) -> None:
        for number in range(7):
            await keep(backend, begun(f"{number}", status=("active", "failed")[number % 2]))
            clock.pass_by(number // 3)
        whole = await backend.workflows()
        pages: list[StoredWorkflow] = []
        while page := await backend.workflows(limit=2, after=pages[-1] if pages else None):
            assert len(page) <= 2
            pages += page

        assert len(whole) == 7
        assert pages == list(whole)

    on(work)


def test_a_history_has_every_event_consumed_and_produced_in_order(on: Within) -> None:
    """B38: how did we get here? The times are those that the turns were taken at."""

    async def work(backend: Backend, clock: Clock) -> None:
        first = committed(shop, placing())
        record = await keep(backend, first)
        clock.pass_by(5)
        answer = answering(first.events[0], CardCharged("r"))
        second = committed(shop, answer, record)
        await keep(backend, second)

        lines = await backend.history(record.subject)

        events = [(line.kind, line.event and line.event.to_dict()) for line in lines]
        assert events == [
            ("consumed", first.event.to_dict()),
            ("produced", first.events[0].to_dict()),
            ("consumed", answer.to_dict()),
            ("produced", second.events[0].to_dict()),
        ]
        assert [line.position for line in lines] == [0, 1, 2, 3]
        assert [line.revision for line in lines] == [1, 1, 2, 2]
        assert {line.at for line in lines} == {NOW}
        assert await backend.history(record.subject, limit=2) == lines[2:]
        assert await backend.history(record.subject, before=3, limit=2) == lines[1:3]
        assert await backend.history("nobody") == ()
        newest_first = [line async for line in every_line(backend, record.subject, page_max=3)]
        assert newest_first == list(reversed(lines))

    on(work)


def test_a_record_that_is_replaced_by_hand_is_in_the_history_too(on: Within) -> None:
    """Else nobody could say how the next turn came to what it did."""

    async def work(backend: Backend, clock: Clock) -> None:
        record = await keep(backend, begun("a"))
        moved = attrs.evolve(record, revision=2, version="2.0.0")
        clock.pass_by(1)
        await backend.replace_record(moved, 1)

        assert (await backend.history(record.subject))[-1] == HistoryEntry(
            position=2, revision=2, kind="amended", at=clock(), record=moved
        )

    on(work)


def timer(record: Record) -> PendingTimer:
    said = attrs.evolve(record, timers={"end": committed_timer()})
    [alarm] = alarms_of(shop, said)
    return alarm


def committed_timer() -> Any:
    from arvo.core.events.protocol import Timer

    return Timer("t1", NOW.isoformat())


def test_amending_hands_out_again_what_was_consumed_and_arms_timers(on: Within) -> None:
    """A workflow that is revived needs what made it fail, and the timers that it waited for."""

    async def work(backend: Backend, clock: Clock) -> None:
        first = committed(shop, placing())
        record = await keep(backend, first)
        alarm = timer(record)
        fired = Commit(handler=ORDER, event=alarm.event, outcome="late")
        await backend.send(Message(alarm.event, ToHandler(ORDER, record.subject)))
        await backend.commit(await backend.receive(ORDER), fired, [], [])
        revived = attrs.evolve(record, revision=2)

        stale = await backend.replace_record(revived, 7, timers=[alarm], redeliver=[first.event])
        assert stale == Conflict(1)
        assert (await backend.depth()).total == 0

        done = await backend.replace_record(revived, 1, timers=[alarm], redeliver=[first.event])
        assert done == Committed()
        handed = [await backend.receive(ORDER)]
        again = attrs.evolve(first, expected=2, record=attrs.evolve(record, revision=3))
        assert await backend.commit(handed[0], again, [], []) == Committed()
        handed.append(await backend.receive(ORDER))
        assert await backend.commit(handed[1], fired, [], []) == Committed()

        assert {each.message.event.id for each in handed} == {first.event.id, alarm.event.id}
        assert await backend.load(record.subject) == again.record

    on(work)


def test_what_was_not_handed_out_again_stays_consumed(on: Within) -> None:
    """I2: replacing a record by hand opens no door to duplicates."""

    async def work(backend: Backend, clock: Clock) -> None:
        first = committed(shop, placing())
        record = await keep(backend, first)
        await backend.replace_record(attrs.evolve(record, revision=2), 1)
        await backend.send(Message(first.event, ToHandler(ORDER, record.subject)))

        assert await backend.commit(await backend.receive(ORDER), first, [], []) == Duplicate()

    on(work)
