"""Memory: the tests that every machine memory must pass, in one class to subclass."""

import asyncio
from itertools import count
from typing import Any

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
