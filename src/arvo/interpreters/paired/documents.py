"""Documents: the workflow documents in a machine memory, changed by compare and set."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, final

from attrs import define, evolve, field

from arvo.interpreters.paired.document import WorkflowDocument
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.ports.results import Conflict

# Documents as this process last wrote or read them. One that drops out of the cache is read again.
DOCUMENTS_MAX: Final = 10_000


@final
@define(eq=False)
class DocumentStore:
    """Reads and writes documents, with a cache. *on_read* is called with each one that is read."""

    memory: MachineMemory
    on_read: Callable[[WorkflowDocument], Awaitable[None]]
    _cached: "OrderedDict[str, WorkflowDocument]" = field(factory=OrderedDict, init=False)

    def cached(self, subject: str) -> WorkflowDocument | None:
        """Return a document as this process last saw it; another process may have changed it."""
        return self._cached.get(subject)

    async def read(self, subject: str) -> WorkflowDocument:
        """Read a document; it is empty where there is none."""
        document = WorkflowDocument.from_stored(await self.memory.read(subject))
        self._cache(subject, document)
        await self.on_read(document)
        return document

    async def write(self, subject: str, document: WorkflowDocument) -> bool:
        """Write a document that was changed; False if the store has another one by now."""
        written = await self.memory.write(subject, document.to_bytes(), document.revision)
        if isinstance(written, Conflict):
            return False
        self._cache(subject, evolve(document, revision=written.revision))
        return True

    async def change(
        self, subject: str, change: Callable[[WorkflowDocument], WorkflowDocument | None]
    ) -> bool:
        """Apply *change* to the newest document; False if it returns None."""
        document = self.cached(subject)
        while True:
            after = change(document or await self.read(subject))
            if after is None:
                return False
            if await self.write(subject, after):
                return True
            document = None

    def clear(self) -> None:
        """Forget the cached documents."""
        self._cached.clear()

    def _cache(self, subject: str, document: WorkflowDocument) -> None:
        """Cache a document; one that has ended seldom receives another event."""
        self._cached.pop(subject, None)
        if document.record is None or document.record.status == "active":
            self._cached[subject] = document
            if len(self._cached) > DOCUMENTS_MAX:
                self._cached.popitem(last=False)
