"""Memory: everything that a machine memory must do, in one class to subclass."""

import asyncio
from itertools import count
from typing import Any

from arvo.interpreters.ports.backend import Conflict
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.testing.conformance.kit import Kit, conforms
from arvo.testing.conformance.linearizability import Read, Refusal, Span, Swap, linear_order

RIVALS = 4
WRITES_EACH = 3
LARGE_BYTES = 5 * 1024 * 1024
ODD = ("", "a/b c", "漢字 🧵", "'; drop table x; --", "\x00", "x" * 2_000, "*", "a.b.>")


class MachineMemoryConformance(Kit):
    """Proves that a `MachineMemory` compares and sets: subclass it, and say how to open yours.

    pytest collects it, once its name begins with `Test`. `memory` opens one at `self.place`, a
    directory for each test; override `close` where there is something to close. Say `survives =
    True` where two that are opened at one place share what they hold.
    """

    async def memory(self) -> MachineMemory:
        """Open a memory at `self.place`: the same place is the same store."""
        raise NotImplementedError

    async def close(self, memory: MachineMemory) -> None:
        """Let go of a memory."""

    async def opened(self) -> Any:
        """Open a memory for a test."""
        return await self.memory()

    async def closed(self, subject: Any) -> None:
        """Let go of it."""
        await self.close(subject)

    @conforms
    async def test_nothing_is_held_at_first(self, memory: MachineMemory) -> None:
        """And 0 is its name for nothing."""
        assert await memory.read("one") is None
        assert await memory.write("one", b"x", 1) == Conflict(0)
        assert await memory.read("one") is None

    @conforms
    async def test_what_was_written_is_read(self, memory: MachineMemory) -> None:
        """Each version has a name of its own, greater than those before."""
        first = await memory.write("one", b"first", 0)
        assert isinstance(first, Stored)
        assert (first.record, first.revision >= 1) == (b"first", True)
        assert await memory.read("one") == first

        second = await memory.write("one", b"second", first.revision)

        assert isinstance(second, Stored)
        assert second.revision > first.revision
        assert await memory.read("one") == second

    @conforms
    async def test_who_expects_another_version_changes_nothing(self, memory: MachineMemory) -> None:
        """And is told which version is held."""
        first = await memory.write("one", b"first", 0)
        assert isinstance(first, Stored)

        for expected in (0, first.revision + 1):
            assert await memory.write("one", b"lost", expected) == Conflict(first.revision)

        assert await memory.read("one") == first

    @conforms
    async def test_subjects_do_not_meet(self, memory: MachineMemory) -> None:
        """However odd: a text of any length and any characters."""
        for number, subject in enumerate(ODD):
            assert isinstance(await memory.write(subject, str(number).encode(), 0), Stored)

        for number, subject in enumerate(ODD):
            found = await memory.read(subject)
            assert found is not None
            assert found.record == str(number).encode()

    @conforms
    async def test_bytes_come_back_as_they_were(self, memory: MachineMemory) -> None:
        """None, every byte there is, and five megabytes."""
        for number, record in enumerate((b"", bytes(range(256)), b"\xff" * LARGE_BYTES)):
            written = await memory.write(f"s{number}", record, 0)
            found = await memory.read(f"s{number}")
            assert found == written
            assert found is not None
            assert found.record == record

    @conforms
    async def test_of_many_who_write_at_once_one_wins(self, memory: MachineMemory) -> None:
        """Some serial order explains every answer: comparing and setting are one."""
        history: list[Span] = []
        clock = count()

        async def rival(name: str) -> None:
            wins = 0
            while wins < WRITES_EACH:
                called = next(clock)
                found = await memory.read("one")
                held = 0 if found is None else found.revision
                history.append(Span(Read(held), called, next(clock)))
                await asyncio.sleep(0)
                called = next(clock)
                match await memory.write("one", name.encode(), held):
                    case Stored(revision=revision):
                        history.append(Span(Swap(held, revision), called, next(clock)))
                        wins += 1
                    case Conflict(revision=revision):
                        history.append(Span(Refusal(held, revision), called, next(clock)))

        await asyncio.gather(*(rival(f"r{number}") for number in range(RIVALS)))

        assert linear_order(history) is not None, history
        assert sum(isinstance(span.operation, Swap) for span in history) == RIVALS * WRITES_EACH

    @conforms
    async def test_what_was_written_outlives_the_writer(self, memory: MachineMemory) -> None:
        """For a store that survives."""
        if not self.is_durable:
            return
        written = await memory.write("one", b"kept", 0)
        await self.close(memory)

        async with self.using() as after:
            assert await after.read("one") == written
