"""Store: the documents of workflows in a memory, with cancellations, chosen ids and answers."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, final
from zlib import crc32

import orjson
from attrs import define, evolve, field

from arvo.core.begin import begun_id, find_other_run
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.interpreters.paired.documents.codec import decode_message
from arvo.interpreters.paired.documents.document import (
    FORMAT,
    WorkflowDocument,
    decode_events,
    decode_value,
    digest_of,
)
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.ports.messages import (
    Delivery,
    Message,
    find_cancellation,
    is_cancellation,
    key_of,
    queue_of,
)
from arvo.interpreters.ports.results import Conflict

# Documents as this process last wrote or read them. One that drops out of the cache is read again.
DOCUMENTS_MAX: Final = 10_000
# Runs with one workflow id, of other types, versions or initiators; the oldest are dropped.
SUBJECTS_MAX: Final = 100
# The answers of one workflow are on so many pages, by the ids of their signals. A page is written
# whole with each answer, and has to hold one until its caller reads it, in a second at most.
ANSWER_PAGES: Final = 16
ANSWERS_MAX: Final = 32
ANSWERS_BYTES_MAX: Final = 256 * 1024


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
        self._cache(subject, document, document.revision)
        await self.on_read(document)
        return document

    async def write(self, subject: str, document: WorkflowDocument) -> bool:
        """Write a document that was changed; False if the store has another one by now."""
        written = await self.memory.write(subject, document.to_bytes(), document.revision)
        if isinstance(written, Conflict):
            return False
        self._cache(subject, document, written.revision)
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

    def _cache(self, subject: str, document: WorkflowDocument, revision: int) -> None:
        """Cache a document; one that has ended seldom receives another event."""
        self._cached.pop(subject, None)
        if document.record is None or document.record.status == "active":
            self._cached[subject] = evolve(document, revision=revision)
            if len(self._cached) > DOCUMENTS_MAX:
                self._cached.popitem(last=False)


@final
@define(eq=False)
class CancellationMarks:
    """Marks cancellations, because a broker does not show the messages that wait in it.

    A mark changes the document, so the write of a turn that was decided without it is refused. It
    is made after the message was published and before the sender is told so, and goes when the
    workflow ends or the cancellation becomes a dead letter. A cancellation that another program
    publishes has no mark: it counts from its own delivery on.
    """

    documents: DocumentStore

    async def mark_published(self, published: Iterable[EncodedMessage]) -> None:
        """Mark the cancellations among messages that were published."""
        for encoded in published:
            # Most messages need not be decoded: the type of a cancellation is in its text.
            if cancel_type(encoded.queue).encode() in encoded.body:
                await self.mark(decode_message(encoded))

    async def mark(self, message: Message) -> bool:
        """Mark a message that was published; return False if it cancels nothing any more."""
        if not is_cancellation(message):
            return False
        queue, event = queue_of(message.to), message.event

        def change(document: WorkflowDocument) -> WorkflowDocument | None:
            has_ended = document.record is not None and document.record.status != "active"
            if has_ended or document.find(digest_of(queue, event)) is not None:
                return None
            return document.with_cancellation(event)

        return await self.documents.change(event.subject, change)

    async def unmark(self, message: Message) -> None:
        """Remove the mark of a message that becomes a dead letter."""
        if is_cancellation(message):
            event = message.event
            # Read anew: another process may have marked it.
            await self.documents.read(event.subject)
            await self.documents.change(event.subject, lambda it: it.without_cancellation(event))

    async def pending(self, delivery: Delivery) -> Event[Any] | None:
        """Read the oldest cancellation that a delivery has to yield to."""
        key = key_of(delivery.message.to)
        return None if key is None else pending_in(await self.documents.read(key), delivery)


def pending_in(document: WorkflowDocument, delivery: Delivery) -> Event[Any] | None:
    """Return the oldest cancellation in a document that a delivery has to yield to."""
    queue = queue_of(delivery.message.to)
    return find_cancellation(
        document.cancellations,
        delivery,
        lambda event: document.find(digest_of(queue, event)) is not None,
    )


@final
@define(eq=False)
class WorkflowIds:
    """The subjects by chosen workflow id, in a memory that cannot list its values.

    A subject is stored before the first record of its run, so a subject may have no document.

    A memory writes one value at a time, so no write can compare the documents of other subjects. Of
    two turns that begin one id under different subjects one is refused all the same, because each
    of them, between the read and the write of its own document, stores its subject and then writes
    the documents of all others anew. Of two turns that do so one has stored its subject later: it
    finds the other one. Either that has been written, and the later one is refused; or the
    other one's write is refused, because its document has changed, and its worker repeats all this
    and finds the later one.
    """

    memory: MachineMemory
    documents: DocumentStore

    async def reserve(self, commit: Commit) -> Record | None:
        """Store the subject of a turn that begins a run with a chosen id, and return the record of
        another run that has the id.

        The document of the turn's own subject is read before, and written afterwards on that read.
        """
        begun = begun_id(commit)
        if begun is None:
            return None
        own, key = commit.event.subject, _ids_key(begun[1])
        subjects: tuple[str, ...] = ()
        revision = 0
        while own not in subjects:
            # Not stored where the id is taken: the oldest subjects are dropped.
            if holder := await self._find_holder(subjects, commit, begun[0]):
                return holder
            added = (*subjects, own)[-SUBJECTS_MAX:]
            content = {"arvo": FORMAT, "subjects": added}
            written = await self.memory.write(key, orjson.dumps(content), revision)
            if not isinstance(written, Conflict):
                subjects = added
            else:
                subjects, revision = await self._read(begun[1])
        return await self._find_holder(subjects, commit, begun[0], writes=True)

    async def _find_holder(
        self, subjects: Iterable[str], commit: Commit, handler: str, *, writes: bool = False
    ) -> Record | None:
        """Return the record of one of *subjects* that has the id. *writes*: write the others."""
        for subject in subjects:
            parsed = Subject.parse(subject)
            if subject == commit.event.subject or parsed.orchestrator.name != handler:
                continue
            while True:
                document = await self.documents.read(subject)
                if document.record is not None and find_other_run(document.record, commit.event):
                    return document.record
                if not writes or await self.documents.write(subject, document):
                    break
        return None

    async def find(self, id_: str) -> tuple[str, ...]:
        """Return the subjects with a workflow id, those of the oldest runs first."""
        return (await self._read(id_))[0]

    async def _read(self, id_: str) -> tuple[tuple[str, ...], int]:
        stored = await self.memory.read(_ids_key(id_))
        if stored is None:
            return (), 0
        return tuple(decode_value(stored, "subjects")["subjects"]), stored.revision


@final
@define(eq=False)
class AnswerStore:
    """The answers of workflows to their signals, for callers in any process.

    They are on pages of their own: a turn that answers nothing writes none, and a caller that waits
    for an answer reads none of the others. Of each page the newest answers stay.
    """

    memory: MachineMemory

    async def add(self, events: Iterable[Event[Any]]) -> None:
        """Store answers; those that are stored already stay as they are."""
        for event in events:
            await self._add(_answers_key(event.subject, event.parentid), event)

    async def find(self, subject: str, signal: str) -> tuple[Event[Any], ...]:
        """Return the answers to the signal with that id, oldest first."""
        page, _ = await self._read(_answers_key(subject, signal))
        return tuple(event for event in page if event.parentid == signal)

    async def _add(self, key: str, event: Event[Any]) -> None:
        # Most pages are short: the first write of each needs no read.
        page: tuple[Event[Any], ...] = ()
        revision = 0
        while event not in page:
            content = {"arvo": FORMAT, "answers": _newest_answers((*page, event))}
            written = await self.memory.write(key, orjson.dumps(content), revision)
            if not isinstance(written, Conflict):
                return
            page, revision = await self._read(key)

    async def _read(self, key: str) -> tuple[tuple[Event[Any], ...], int]:
        stored = await self.memory.read(key)
        if stored is None:
            return (), 0
        return decode_events(stored, "answers"), stored.revision


def _newest_answers(page: tuple[Event[Any], ...]) -> list[dict[str, Any]]:
    """Return the newest of the answers as JSON data: at least one, and no more than fit."""
    size = 0
    newest: list[dict[str, Any]] = []
    for event in page[: -ANSWERS_MAX - 1 : -1]:
        size += len(event.to_bytes())
        if newest and size > ANSWERS_BYTES_MAX:
            break
        newest.append(event.to_dict())
    return newest[::-1]


def _answers_key(subject: str, signal: str | None) -> str:
    page = crc32((signal or "").encode(errors="surrogatepass")) % ANSWER_PAGES
    return f"(answers {page}) {subject}"


def _ids_key(id_: str) -> str:
    # The subject of a workflow is base64, which has no parentheses.
    return f"(workflow id) {id_}"
