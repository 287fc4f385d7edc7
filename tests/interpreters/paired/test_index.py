"""Index: what a pair writes to its index, and what it lists while the index is behind."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from arvo import (
    Backend,
    HistoryBlock,
    IndexQuery,
    InMemoryIndex,
    InMemoryMachineMemory,
    MemoryBroker,
    Retention,
    Unavailable,
    Violated,
    paired,
)
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.index import BLOCK_ENTRIES_MAX
from arvo.interpreters.ports.results import Committed, Duplicate
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.testing.conformance.kit.samples import WORKFLOW, record, subject, to_workflow, turn_commit

DAY = timedelta(days=1)


async def turn(backend: Backend, run: str, revision: int = 1, **changes: Any) -> None:
    """Commit the next turn of a run."""
    await backend.send(to_workflow(f"{run}-{revision}", run=run))
    delivery = await backend.receive(WORKFLOW)
    commit = turn_commit(delivery, revision, run=run, **changes)
    assert await backend.commit(delivery, commit, [], []) == Committed()


class DownIndex(InMemoryIndex):
    """An index that can be down."""

    is_down = False

    async def write(self, row: Any, blocks: Any) -> None:
        if self.is_down:
            raise Unavailable("the index is down")
        await super().write(row, blocks)


def test_a_turn_stands_while_its_index_is_down_and_its_row_comes_with_the_next_delivery() -> None:
    """The delivery is not acknowledged, and the broker delivers it again."""

    async def go() -> None:
        index = DownIndex()
        pair = paired(InMemoryMachineMemory(), MemoryBroker(), index=index)
        index.is_down = True
        await pair.send(to_workflow("begin"))
        delivery = await pair.receive(WORKFLOW)
        with pytest.raises(Unavailable):
            await pair.commit(delivery, turn_commit(delivery, 1), [], [])

        assert await pair.load(subject()) == record(1)
        assert len(await pair.history(subject())) == 1
        assert await pair.workflows() == ()

        index.is_down = False
        await pair.nack(delivery, 0.0)
        again = await pair.receive(WORKFLOW)
        assert await pair.commit(again, turn_commit(again, 2), [], []) == Duplicate()
        assert await pair.workflows() == (await pair.workflow(subject()),)
        assert len(await pair.history(subject())) == 1
        await pair.close()

    asyncio.run(go())


def test_a_row_without_a_version_is_listed_by_that_of_its_record() -> None:
    """An earlier version of this library has written it; the next turn gives it a version."""

    class Earlier(InMemoryIndex):
        async def write(self, row: Any, blocks: Any) -> None:
            await super().write(evolve(row, version=""), blocks)

    async def go() -> None:
        pair = paired(InMemoryMachineMemory(), MemoryBroker(), index=Earlier())
        for run, version in (("one", "1.0.0"), ("two", "2.0.0")):
            await turn(pair, run, version=version)

        for run, version in (("one", "1.0.0"), ("two", "2.0.0")):
            assert await pair.workflows(version=version) == (await pair.workflow(subject(run)),)
        assert await pair.workflows(version="3.0.0") == ()
        await pair.close()

    asyncio.run(go())


def test_what_another_process_has_written_without_its_row_is_written_with_the_next_turn() -> None:
    """A process may die before it writes to the index, and its delivery may go to a third one."""

    async def go() -> None:
        index, memory, broker = DownIndex(), InMemoryMachineMemory(), MemoryBroker()
        dying, other = (paired(memory, broker, index=each) for each in (DownIndex(), index))
        await turn(dying, "one")
        assert await other.workflows() == ()

        await turn(other, "one", 2)

        assert [entry.revision for entry in await other.history(subject())] == [1, 2]
        blocks = await index.blocks(subject(), 0, 9)
        assert [(block.position, block.length) for block in blocks] == [(0, 1), (1, 1)]
        for pair in (dying, other):
            await pair.close()

    asyncio.run(go())


def test_a_list_reads_the_records_and_leaves_out_those_that_match_no_more() -> None:
    """A page is full all the same, and a row keeps its place while it is late."""

    async def go() -> None:
        index, memory, broker = DownIndex(), InMemoryMachineMemory(), MemoryBroker()
        pair, late = (paired(memory, broker, index=each) for each in (index, DownIndex()))
        for run in ("one", "two", "three", "four"):
            await turn(pair, run)
        rows = {row.subject: row for row in await index.search(IndexQuery())}
        await turn(late, "three", 2, status="done")
        await turn(late, "two", 2, labels={"size": 5})

        listed = await pair.workflows(status="active", limit=2)

        assert [stored.record.subject for stored in listed] == [subject("four"), subject("two")]
        assert listed[1].record.revision == 2
        assert listed[1].changed == rows[subject("two")].changed
        rest = await pair.workflows(status="active", after=listed[1])
        assert [stored.record.subject for stored in rest] == [subject("one")]
        assert await pair.workflows(labels={"size": 5}) == ()
        for each in (pair, late):
            await each.close()

    asyncio.run(go())


def test_a_pair_without_an_index_names_the_remedy() -> None:
    """It stores records alone; a chosen workflow id is found by another way."""

    async def go() -> None:
        pair = paired(InMemoryMachineMemory(), MemoryBroker())
        await turn(pair, "one")
        with pytest.raises(Violated, match="a pair with an index"):
            await pair.workflows()
        assert await pair.history(subject()) == ()
        await pair.close()

    asyncio.run(go())


@pytest.mark.parametrize("url", ["nats://host", "redis://host"])
def test_the_url_of_a_memory_turns_its_index_off(url: str) -> None:
    """Where nobody lists, each turn saves a request."""
    on, off = (backend_from_url(f"{url}{query}") for query in ("", "?index=no"))

    assert isinstance(on, Pair)
    assert isinstance(off, Pair)
    assert (on.stores_history, off.stores_history) == (True, False)
    with pytest.raises(Violated, match="index: expected yes or no, got 'off'"):
        backend_from_url(f"{url}?index=off")


def test_workflows_that_ended_long_ago_leave_the_index() -> None:
    """When another one ends; their records stay, as those of a pair do."""

    async def go() -> None:
        index = InMemoryIndex()
        retention = Retention(finished=timedelta(days=30))
        pair = paired(InMemoryMachineMemory(), MemoryBroker(), index=index, retention=retention)
        await turn(pair, "active")
        [row] = await index.search(IndexQuery())
        old = evolve(row, subject="old", status="done", changed=datetime.now(UTC) - 31 * DAY)
        for each in (old, evolve(old, subject="failed", status="failed")):
            await index.write(each, [HistoryBlock(0, 1, b"[]")])

        await turn(pair, "ended", status="done")

        left = {row.subject for row in await index.search(IndexQuery())}
        assert left == {subject("active"), "failed", subject("ended")}
        assert await index.blocks("old", 0, 1) == ()
        await pair.close()

    asyncio.run(go())


def test_a_turn_with_many_events_is_several_blocks() -> None:
    """So that a reader finds the block that an entry is in."""

    async def go() -> None:
        index = InMemoryIndex()
        pair = paired(InMemoryMachineMemory(), MemoryBroker(), index=index)
        await pair.send(to_workflow("begin"))
        delivery = await pair.receive(WORKFLOW)
        messages = [to_workflow(f"{n}", run="other") for n in range(2 * BLOCK_ENTRIES_MAX)]
        commit = turn_commit(delivery, 1, messages=messages)
        assert await pair.commit(delivery, commit, messages, []) == Committed()

        history = await pair.history(subject())

        events = [delivery.message.event, *(message.event for message in messages)]
        assert [entry.event for entry in history] == events
        assert await pair.history(subject(), limit=3) == history[-3:]
        assert await pair.history(subject(), before=70, limit=9) == history[61:70]
        blocks = await index.blocks(subject(), 0, 999)
        assert [block.length for block in blocks] == [64, 64, 1]
        await pair.close()

    asyncio.run(go())
