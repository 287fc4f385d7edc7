"""Wrong archives: a backend in memory that archives, and those with one promise broken."""

from typing import Any

from arvo import ArchivedWorkflow, MemoryBackend, Record, Retention
from arvo.core.record import ENDED_STATUSES
from arvo.testing.conformance.kit.proxy import show_attributes


class Archiving:
    """The memory backend with an archive: each look at a workflow purges first."""

    def __init__(self, retention: Retention) -> None:
        self.inner, self.retention = MemoryBackend(), retention
        show_attributes(self, self.inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def load(self, subject: str) -> Record | None:
        for stored in [*self.inner._workflows._workflows.values()]:
            if self.is_finished(stored.record):
                await self.remove(stored.record)
        return await self.inner.load(subject)

    def is_finished(self, record: Record) -> bool:
        return record.status in ENDED_STATUSES

    async def remove(self, record: Record) -> None:
        if await self.archive(record):
            del self.inner._workflows._workflows[record.subject]

    async def archive(self, record: Record) -> bool:
        history = await self.inner.history(record.subject)
        assert self.retention.archive is not None
        return self.retention.archive.append([ArchivedWorkflow(record, history)])


class ArchivesNothing(Archiving):
    async def archive(self, record: Record) -> bool:  # noqa: ARG002 - this is its fault
        return True


class RemovesWhatItCannotArchive(Archiving):
    async def archive(self, record: Record) -> bool:
        await super().archive(record)
        return True


class ArchivesAfterwards(Archiving):
    removed: Record | None = None

    async def load(self, subject: str) -> Record | None:
        if self.removed is not None:
            await super().archive(self.removed)
        return await super().load(subject)

    async def archive(self, record: Record) -> bool:
        self.removed = record
        return True


class ArchivesFailedWorkflows(Archiving):
    def is_finished(self, record: Record) -> bool:
        return record.status != "active"


class ArchivesWithoutHistory(Archiving):
    async def archive(self, record: Record) -> bool:
        assert self.retention.archive is not None
        return self.retention.archive.append([ArchivedWorkflow(record, ())])
