"""Progress: the results of effects that a pair stores until their step is committed."""

from collections.abc import Container
from hashlib import blake2b
from typing import Final, TypeAlias, final

import orjson
from attrs import define

from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired.documents.document import FORMAT, decode_value, digest_of
from arvo.interpreters.paired.outbox import Outbox, is_replaceable
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import (
    CheckpointResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
)

# A fixed number of pages, as of dead letters: a memory can neither list nor delete. A handler that
# has no record stores its results on a page, where newer ones replace the oldest.
PAGES: Final = 64
PAGE_ENTRIES_MAX: Final = 64
PAGE_BYTES_MAX: Final = 512 * 1024

# The checkpoints of one page by the digest of their events, oldest first.
Page: TypeAlias = dict[str, bytes]


@final
@define(eq=False)
class ProgressStore:
    """The checkpoints of a pair: of workflows in their documents, of other handlers on pages.

    A turn of a workflow removes its checkpoint. One on a page stays until newer ones replace it: an
    event that is delivered again after its commit then repeats no effect either.
    """

    memory: MachineMemory
    outbox: Outbox

    def attach(self, delivery: Delivery) -> None:
        """Let a delivery read its checkpoint when its step asks for an effect."""
        progress, message = delivery.progress, delivery.message
        if progress.read is None and isinstance(message.to, ToHandler):
            progress.data, progress.read = None, lambda: self.read(message)

    async def read(self, message: Message) -> bytes:
        """Return the last checkpoint of a message, empty where there is none."""
        to = message.to
        assert isinstance(to, ToHandler)
        digest = digest_of(to.address, message.event)
        if to.key is not None:
            return await self.outbox.read_progress(to.key, digest)
        return (await self._read(_page_of(digest)))[0].get(digest, b"")

    async def write(
        self, message: Message, progress: bytes, known: Container[bytes]
    ) -> CheckpointResult | Duplicate:
        """Store a checkpoint in place of the one that this worker read or wrote: a *known* one.

        Returns `Duplicate` if the event was consumed meanwhile, and `Fenced` if another worker has
        stored a checkpoint of it. Nothing is stored then.
        """
        to = message.to
        assert isinstance(to, ToHandler)
        digest = digest_of(to.address, message.event)
        if to.key is not None:
            result = await self.outbox.write_progress(to.key, digest, progress, known)
            if isinstance(result, Duplicate):
                # Its output may be unsent, as after a crash.
                await self.outbox.was_consumed(message)
            return result
        return await self._write_on_page(digest, progress, known)

    async def _write_on_page(
        self, digest: str, progress: bytes, known: Container[bytes]
    ) -> CheckpointResult:
        subject = _page_of(digest)
        while True:
            page, revision = await self._read(subject)
            if not is_replaceable(page.pop(digest, b""), known):
                return Fenced()
            if progress:
                page[digest] = progress
            while len(page) > PAGE_ENTRIES_MAX or sum(map(len, page.values())) > PAGE_BYTES_MAX:
                del page[next(iter(page))]
            entries = {key: orjson.Fragment(data) for key, data in page.items()}
            content = orjson.dumps({"arvo": FORMAT, "progress": entries})
            if not isinstance(await self.memory.write(subject, content, revision), Conflict):
                return Committed()

    async def _read(self, subject: str) -> tuple[Page, int]:
        stored: Stored | None = await self.memory.read(subject)
        if stored is None:
            return {}, 0
        entries = decode_value(stored, "progress")["progress"]
        return {key: orjson.dumps(data) for key, data in entries.items()}, stored.revision


def _page_of(digest: str) -> str:
    """Return the subject of the page of a digest."""
    # The subject of a workflow is base64, which has no parentheses.
    number = blake2b(digest.encode(), digest_size=2).digest()
    return f"(progress) {int.from_bytes(number) % PAGES}"
