"""Memory: the tests that every machine memory, and every index of one, must pass."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from attrs import evolve

from arvo.core.record import Status
from arvo.interpreters.ports.index import HistoryBlock, Index, IndexQuery, IndexRow
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.results import Conflict
from arvo.testing.conformance.kit import NOT_DURABLE, Kit, conformance_test, skip
from arvo.testing.conformance.kit.linearizability import (
    Read,
    Refusal,
    Span,
    Swap,
    find_linearization,
)

WRITERS = 4
WRITES_PER_WRITER = 3
LARGE_BYTES = 5 * 1024 * 1024
UNUSUAL_SUBJECTS = (
    "",
    "a/b c",
    "漢字 🧵",
    "'; drop table x; --",
    "\x00",
    "x" * 2_000,
    "*",
    "a.b.>",
)


class MachineMemoryConformance(Kit):
    """Tests that a `MachineMemory` compares and sets atomically.

    Subclass it under a name that begins with `Test`, so that pytest collects it, and override
    `memory`. It opens a memory at `self.tmp_path`, a directory for each test. Override `close` if
    there is something to close. Set `is_durable = True` if two memories at one path share their
    data.
    """

    async def memory(self) -> MachineMemory:
        """Open a memory at `self.tmp_path`; the same path means the same store."""
        raise NotImplementedError

    async def close(self, memory: MachineMemory) -> None:
        """Close a memory."""

    async def open_subject(self) -> Any:
        """Open a memory for a test."""
        return await self.memory()

    async def close_subject(self, subject: Any) -> None:
        """Close the memory of a test."""
        await self.close(subject)

    @conformance_test
    async def test_an_unknown_subject_has_no_record(self, memory: MachineMemory) -> None:
        """Its revision is 0."""
        assert await memory.read("one") is None
        assert await memory.write("one", b"x", 1) == Conflict(0)
        assert await memory.read("one") is None

    @conformance_test
    async def test_a_written_record_is_read(self, memory: MachineMemory) -> None:
        """Each write has a greater revision than the one before."""
        first = await memory.write("one", b"first", 0)
        assert isinstance(first, Stored)
        assert (first.record, first.revision >= 1) == (b"first", True)
        assert await memory.read("one") == first

        second = await memory.write("one", b"second", first.revision)

        assert isinstance(second, Stored)
        assert second.revision > first.revision
        assert await memory.read("one") == second

    @conformance_test
    async def test_a_write_on_another_revision_conflicts(self, memory: MachineMemory) -> None:
        """The conflict names the current revision, and nothing changes."""
        first = await memory.write("one", b"first", 0)
        assert isinstance(first, Stored)

        for expected in (0, first.revision + 1):
            assert await memory.write("one", b"lost", expected) == Conflict(first.revision)

        assert await memory.read("one") == first

    @conformance_test
    async def test_unusual_subjects_are_distinct(self, memory: MachineMemory) -> None:
        """A subject is a text of any length and any characters."""
        for number, subject in enumerate(UNUSUAL_SUBJECTS):
            assert isinstance(await memory.write(subject, str(number).encode(), 0), Stored)

        for number, subject in enumerate(UNUSUAL_SUBJECTS):
            stored = await memory.read(subject)
            assert stored is not None
            assert stored.record == str(number).encode()

    @conformance_test
    async def test_any_bytes_round_trip(self, memory: MachineMemory) -> None:
        """An empty record, every byte value, and five megabytes."""
        for number, record in enumerate((b"", bytes(range(256)), b"\xff" * LARGE_BYTES)):
            written = await memory.write(f"s{number}", record, 0)
            stored = await memory.read(f"s{number}")
            assert stored == written
            assert stored is not None
            assert stored.record == record

    @conformance_test
    async def test_concurrent_writes_are_linearizable(self, memory: MachineMemory) -> None:
        """Some serial order explains every result: comparing and setting are one operation."""
        history: list[Span] = []
        clock = count()

        async def write(name: str) -> None:
            wins = 0
            while wins < WRITES_PER_WRITER:
                invoked = next(clock)
                stored = await memory.read("one")
                current = 0 if stored is None else stored.revision
                history.append(Span(Read(current), invoked, next(clock)))
                await asyncio.sleep(0)
                invoked = next(clock)
                match await memory.write("one", name.encode(), current):
                    case Stored(revision=revision):
                        history.append(Span(Swap(current, revision), invoked, next(clock)))
                        wins += 1
                    case Conflict(revision=revision):
                        history.append(Span(Refusal(current, revision), invoked, next(clock)))

        await asyncio.gather(*(write(f"w{number}") for number in range(WRITERS)))

        assert find_linearization(history) is not None, history
        writes = sum(isinstance(span.operation, Swap) for span in history)
        assert writes == WRITERS * WRITES_PER_WRITER

    @conformance_test
    async def test_a_written_record_survives_a_restart(self, memory: MachineMemory) -> None:
        """For a durable store."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        written = await memory.write("one", b"durable", 0)
        await self.close(memory)

        async with self.session() as restarted:
            assert await restarted.read("one") == written


BEGAN: Final = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
EARLIER, LATER = BEGAN + timedelta(minutes=3), BEGAN + timedelta(minutes=4)


def _row(subject: str, minutes: int, **fields: Any) -> IndexRow:
    changed = BEGAN + timedelta(minutes=minutes, microseconds=1)
    return IndexRow(subject=subject, began=BEGAN, changed=changed, **fields)


_ONE: Final = {"handler": "com.one", "revision": 2}
_TWO: Final = {"handler": "com.two > *", "revision": 3, "workflow_id": "a/b c:*"}
_ORDER: Final = {"workflow_id": "order-1"}
# Two of them changed at the same time, and the texts of some have unusual characters.
ROWS: Final = (
    _row("a", 5, status="active", version="1.0.0", labels="\ncustomer=ann\n", **_ONE, **_ORDER),
    _row("b", 5, status="done", labels="\ncustomer=anna\npaid=true\n", **_ONE),
    _row("漢字 🧵", 4, status="failed", version="1.0.0", **_ONE),
    _row("'; drop table x; --", 9, status="active", labels="\nsize=5\n", **{**_TWO, **_ORDER}),
    _row("*.>:d", 1, status="cancelled", version="10.0.0", **_TWO),
    _row("d", 2, status="active", labels="\npart=ord\n", **_TWO),
)
QUERIES: Final = (
    IndexQuery(),
    IndexQuery(status="active"),
    IndexQuery(handler="com.two > *"),
    IndexQuery(handler="com.one", status="done"),
    IndexQuery(handler="com.unknown"),
    IndexQuery(version="1.0.0"),
    IndexQuery(version="10.0.0", handler="com.two > *"),
    IndexQuery(version="1.0.0", status="failed"),
    IndexQuery(workflow_id="order-1"),
    IndexQuery(workflow_id="a/b c:*", status="active"),
    IndexQuery(workflow_id="order"),
    IndexQuery(unchanged_since=LATER),
    IndexQuery(status="active", unchanged_since=LATER),
    IndexQuery(labels=("\ncustomer=ann\n",)),
    IndexQuery(labels=("\ncustomer=anna\n", "\npaid=true\n")),
    IndexQuery(text="ord"),
    IndexQuery(text="ann", handler="com.one"),
    IndexQuery(text="%"),
    IndexQuery(limit=0),
)


class IndexConformance(Kit):
    """Tests that an `Index` lists each row once, and stores the histories.

    Subclass it as `MachineMemoryConformance`, and override `index`.
    """

    async def index(self) -> Index:
        """Open an index at `self.tmp_path`; the same path means the same store."""
        raise NotImplementedError

    async def close(self, index: Index) -> None:
        """Close an index."""

    async def open_subject(self) -> Any:
        """Open an index for a test."""
        return await self.index()

    async def close_subject(self, subject: Any) -> None:
        """Close the index of a test."""
        await self.close(subject)

    @conformance_test
    async def test_rows_are_selected_and_sorted(self, index: Index) -> None:
        """By each filter; the one that changed last comes first, then the highest subject."""
        assert tuple(await index.search(IndexQuery())) == ()
        for row in ROWS:
            await index.write(row, ())

        for query in QUERIES:
            assert tuple(await index.search(query)) == query.select(ROWS), query

    @conformance_test
    async def test_rows_come_in_pages(self, index: Index) -> None:
        """Each of them once, in the order of the whole list."""
        for row in ROWS:
            await index.write(row, ())

        for query in QUERIES[:-1]:
            paged, page = evolve(query, limit=2), list[IndexRow]()
            listed: list[IndexRow] = []
            while page := list(await index.search(paged)):
                listed += page
                paged = evolve(paged, after=page[-1].sort_key)
            assert tuple(listed) == query.select(ROWS), query

    @conformance_test
    async def test_a_newer_row_takes_the_place_of_an_older_one(self, index: Index) -> None:
        """Whichever comes first, and however often: a delivery may be repeated much later."""
        old, statuses = ROWS[0], list[Status](("active", "done", "active", "failed"))
        for revision, status in enumerate(statuses, start=3):
            new = evolve(old, revision=revision, status=status, changed=LATER, labels=f"{revision}")

            for row in (new, old, new, old):
                await index.write(row, ())

            assert tuple(await index.search(IndexQuery())) == (new,)
            for other in ("active", "done", "failed", "cancelled"):
                found = tuple(await index.search(IndexQuery(status=other)))
                assert found == ((new,) if other == status else ())

    @conformance_test
    async def test_the_newest_of_concurrent_rows_is_listed(self, index: Index) -> None:
        """Two processes write the rows of the turns that they have seen, at the same time."""
        rows = [
            evolve(
                ROWS[0],
                revision=revision,
                status="done" if revision % 3 else "active",
                changed=BEGAN + timedelta(seconds=revision),
            )
            for revision in range(3, 15)
        ]

        await asyncio.gather(*(index.write(row, ()) for row in (*rows[::-1], *rows)))

        assert tuple(await index.search(IndexQuery())) == (rows[-1],)

    @conformance_test
    async def test_blocks_are_found_by_their_positions(self, index: Index) -> None:
        """Each workflow has its own; a repeated write changes nothing."""
        blocks = [HistoryBlock(0, 1, b"0"), HistoryBlock(1, 64, b"1"), HistoryBlock(65, 2, b"65")]
        row, other = ROWS[0], ROWS[2]
        await index.write(row, blocks[:2])
        await index.write(other, [HistoryBlock(0, 3, b"other")])
        await index.write(evolve(row, revision=3), blocks[1:])
        await index.write(row, [blocks[1]])

        ranges = ((0, 67), (0, 1), (1, 2), (64, 65), (60, 66), (65, 70), (66, 67), (67, 99))
        for start, end in ranges:
            expected = [
                block
                for block in blocks
                if block.position < end and block.position + block.length > start
            ]
            found = await index.blocks(row.subject, start, end)
            assert sorted(found, key=lambda block: block.position) == expected, (start, end)
        assert tuple(await index.blocks(other.subject, 0, 9)) == (HistoryBlock(0, 3, b"other"),)
        assert tuple(await index.blocks("unknown", 0, 9)) == ()

    @conformance_test
    async def test_any_content_round_trips(self, index: Index) -> None:
        """No byte, every byte value, and five megabytes."""
        contents = (b"", bytes(range(256)), b"\xff" * LARGE_BYTES)
        blocks = [HistoryBlock(place, 1, content) for place, content in enumerate(contents)]

        await index.write(ROWS[0], blocks)

        for block in blocks:
            found = await index.blocks(ROWS[0].subject, block.position, block.position + 1)
            assert tuple(found) == (block,)

    @conformance_test
    async def test_workflows_that_have_ended_are_deleted(self, index: Index) -> None:
        """With their histories; a failed one stays, and one that was revived or begun again."""
        for row in ROWS:
            ended = evolve(row, status="done", changed=EARLIER)
            await index.write(ended, [HistoryBlock(0, 1, b"x")])
            await index.write(evolve(row, revision=row.revision + 1), [HistoryBlock(1, 1, b"y")])

        assert await index.delete_ended(EARLIER, 0) == 0
        assert await index.delete_ended(EARLIER, 10) == 1
        assert await index.delete_ended(EARLIER, 10) == 0
        assert await index.delete_ended(BEGAN + timedelta(hours=1), 10) == 1

        left = {row.subject for row in await index.search(IndexQuery())}
        assert left == {row.subject for row in ROWS if row.status in ("active", "failed")}
        for row in ROWS:
            number = len(await index.blocks(row.subject, 0, 9))
            assert number == (2 if row.subject in left else 0)
        await index.write(evolve(ROWS[1], revision=9), [HistoryBlock(0, 1, b"again")])
        assert len(await index.search(IndexQuery(status="done"))) == 1

    @conformance_test
    async def test_a_written_row_survives_a_restart(self, index: Index) -> None:
        """For a durable store."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        block = HistoryBlock(0, 1, b"durable")
        await index.write(ROWS[0], [block])
        await self.close(index)

        async with self.session() as restarted:
            assert tuple(await restarted.search(IndexQuery())) == (ROWS[0],)
            assert tuple(await restarted.blocks(ROWS[0].subject, 0, 1)) == (block,)
