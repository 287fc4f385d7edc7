"""Workflow ids: two turns that begin one id under two subjects, between their reads and writes."""

import asyncio

import pytest

from arvo.core.commit import Commit
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.paired.documents.document import WorkflowDocument
from arvo.interpreters.paired.documents.store import SUBJECTS_MAX, DocumentStore, WorkflowIds
from arvo.interpreters.ports.messages import Delivery
from arvo.testing.conformance.kit.samples import begin_commit, to_begin


class Process:
    """What one process has on a memory."""

    def __init__(self, memory: InMemoryMachineMemory) -> None:
        self.documents = DocumentStore(memory, _ignore)
        self.ids = WorkflowIds(memory, self.documents)

    async def write(self, document: WorkflowDocument, commit: Commit) -> bool:
        assert commit.record is not None
        after = document.after_turns(commit.record, (), {}, utc_now())
        return await self.documents.write(commit.record.subject, after)


async def _ignore(_: WorkflowDocument) -> None:
    pass


def begins(number: int) -> list[Commit]:
    messages = [to_begin(f"begin-{at}", initiator=f"com.kit.{at}") for at in range(number)]
    return [begin_commit(Delivery(message, 1)) for message in messages]


@pytest.mark.promise("I2")
def test_of_two_turns_that_have_both_reserved_an_id_the_first_write_counts() -> None:
    """I2: the later one has written the document of the other, whose write is refused."""

    async def go() -> None:
        memory = InMemoryMachineMemory()
        one, two = Process(memory), Process(memory)
        first, second = begins(2)
        read = await one.documents.read(first.event.subject)
        other = await two.documents.read(second.event.subject)

        assert await one.ids.reserve(first) is None
        assert await two.ids.reserve(second) is None

        assert not await one.write(read, first)
        assert await two.write(other, second)
        read = await one.documents.read(first.event.subject)
        assert await one.ids.reserve(first) == second.record

    asyncio.run(go())


@pytest.mark.promise("I2")
def test_the_run_that_has_an_id_stays_known_however_many_are_refused() -> None:
    """I2: the list of subjects is bounded."""

    async def go() -> None:
        process = Process(InMemoryMachineMemory())
        first, *others = begins(SUBJECTS_MAX + 2)
        read = await process.documents.read(first.event.subject)
        assert await process.ids.reserve(first) is None
        assert await process.write(read, first)

        assert [await process.ids.reserve(other) for other in others] == [first.record] * len(
            others
        )

    asyncio.run(go())
