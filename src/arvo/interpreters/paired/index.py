"""Index: writes the changes of a turn to the index of a pair, and reads workflows from it."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import define, evolve, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.history import HistoryEntry
from arvo.core.labels import label_lines
from arvo.core.record import ENDED_STATUSES, LASTING_STATUSES, Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.codec import decode_event, decode_record
from arvo.interpreters.delivery.operations import VersionCounter, WorkflowQuery, select_timers
from arvo.interpreters.delivery.retention import PURGE_BATCH_ROWS
from arvo.interpreters.paired.documents.document import WorkflowDocument
from arvo.interpreters.paired.documents.store import DocumentStore
from arvo.interpreters.ports.index import (
    BLOCK_ENTRIES_MAX,
    HistoryBlock,
    Index,
    IndexQuery,
    IndexRow,
)
from arvo.interpreters.ports.results import DueTimer, StoredWorkflow, VersionUse

# Workflows of which this process knows what the index has. One that drops out is written again.
INDEXED_MAX: Final = 100_000
# Blocks of other processes that a document holds without knowing whether they were written.
UNINDEXED_MAX: Final = 8
# The pause between two deletions of ended workflows, by a process that ends some.
SWEEP_SECONDS: Final = 60.0

# What adds to a history: a turn, or a record that an operator has replaced.
Addition: TypeAlias = Commit | Record


@final
@define(eq=False)
class IndexWriter:
    """Writes to an *index* what documents hold for it; without one it does nothing.

    A document holds the history of each turn until the index is known to have it, as it holds
    output until that is known to be sent. *finished*: how long ended workflows stay in the index.
    """

    index: Index | None = None
    finished: timedelta | None = None
    # The end of the history that the index has, by subject.
    _indexed: "OrderedDict[str, int]" = field(factory=OrderedDict, init=False)
    _swept: float | None = field(default=None, init=False)

    def add(
        self,
        document: WorkflowDocument,
        additions: Sequence[Addition],
        at: datetime,
    ) -> WorkflowDocument:
        """Return a document with the blocks that the index is to get, and without those it has."""
        if self.index is None or document.record is None:
            return document
        indexed = self._indexed.get(document.record.subject, 0)
        left = [block for block in document.unindexed if block.position >= indexed]
        added = list(_blocks(document.history_length, additions, at))
        end = document.history_length + sum(block.length for block in added)
        return evolve(document, unindexed=(*left, *added), history_length=end)

    async def write_excess(self, document: WorkflowDocument) -> None:
        """Write the contents of a document, if that is much."""
        if len(self._unknown(document)) > UNINDEXED_MAX:
            await self.write(document)

    async def write(self, document: WorkflowDocument) -> None:
        """Write the contents of a document, unless this process knows that the index has it."""
        if self.index is None or document.began is None or document.changed is None:
            return
        if not (blocks := self._unknown(document)):
            return
        record = document.record
        assert record is not None
        await self.index.write(_row(record, document.began, document.changed), blocks)
        subject = record.subject
        self._indexed[subject] = max(document.history_length, self._indexed.pop(subject, 0))
        if len(self._indexed) > INDEXED_MAX:
            self._indexed.popitem(last=False)
        if record.status in ENDED_STATUSES:
            await self._sweep(self.index)

    def _unknown(self, document: WorkflowDocument) -> list[HistoryBlock]:
        """Return the blocks of a document that the index may lack."""
        if self.index is None or document.record is None or not document.unindexed:
            return []
        indexed = self._indexed.get(document.record.subject, 0)
        return [block for block in document.unindexed if block.position >= indexed]

    async def _sweep(self, index: Index) -> None:
        """Delete workflows that have ended long ago, now and then."""
        now = asyncio.get_running_loop().time()
        if self.finished is None or (self._swept is not None and now < self._swept + SWEEP_SECONDS):
            return
        self._swept = now
        if await index.delete_ended(utc_now() - self.finished, PURGE_BATCH_ROWS):
            # There may be more of them.
            self._swept = None


@final
@define(eq=False)
class IndexReader:
    """Lists workflows and reads histories. The records are those of the memory."""

    index: Index | None
    documents: DocumentStore

    async def workflows(self, query: WorkflowQuery) -> tuple[StoredWorkflow, ...]:
        """List the workflows that the index has and whose newest record matches too."""
        index, found = self._required("workflows"), list[StoredWorkflow]()
        async for stored in self._candidates(index, query):
            found.append(stored)
            if len(found) == query.limit:
                break
        return tuple(found)

    async def timers(
        self, handler: str | None, after: DueTimer | None, limit: int
    ) -> tuple[DueTimer, ...]:
        """List the timers of active workflows, reading each record: a broker lists none."""
        index, page = self._required("timers"), tuple[DueTimer, ...]()
        async for stored in self._candidates(index, WorkflowQuery(handler, status="active")):
            if stored.record.timers:
                page = select_timers((*page, *_timers(stored.record)), handler, after, limit)
        return page

    async def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows by handler and version, reading each record."""
        index, counter = self._required("versions"), VersionCounter()
        for status in LASTING_STATUSES:
            async for stored in self._candidates(index, WorkflowQuery(status=status)):
                counter.add(stored.record)
        return counter.uses()

    async def subjects(self, workflow_id: str) -> tuple[str, ...]:
        """Return the subjects with a workflow id that the index has."""
        if self.index is None:
            return ()
        rows = await self.index.search(IndexQuery(workflow_id=workflow_id))
        return tuple(row.subject for row in rows)

    async def history(
        self, subject: str, before: int | None, limit: int
    ) -> tuple[HistoryEntry, ...]:
        """Return the newest entries of a history below a position, oldest first.

        It lacks none: what the index may not have yet is in the document, which is read first.
        """
        if self.index is None:
            return ()
        document = await self.documents.read(subject)
        end = document.history_length if before is None else min(before, document.history_length)
        start = max(0, end - limit)
        if start >= end:
            return ()
        stored = await self.index.blocks(subject, start, end)
        blocks = {block.position: block for block in (*document.unindexed, *stored)}
        entries = (entry for _, block in sorted(blocks.items()) for entry in _entries(block))
        return tuple(entry for entry in entries if start <= entry.position < end)

    def _required(self, operation: str) -> Index:
        if self.index is None:
            expected = "a pair with an index, as nats: and redis: have, or sqlite:///file.db"
            issue = Issue(operation, expected, "a pair without an index")
            raise Violated(ConfigViolation("ask for one workflow, by its id or subject", issue))
        return self.index

    async def _candidates(
        self, index: Index, query: WorkflowQuery
    ) -> AsyncIterator[StoredWorkflow]:
        """Yield the matches, in the order of the index."""
        wanted = index_query(query)
        while rows := await index.search(wanted):
            read = await asyncio.gather(*(self.documents.read(row.subject) for row in rows))
            for row, document in zip(rows, read, strict=True):
                record = document.record
                if record is None or document.began is None or document.changed is None:
                    continue
                newest = _row(record, document.began, document.changed)
                # The record may be newer than its row, whose place it keeps on the pages.
                if evolve(wanted, after=None).matches(newest):
                    yield StoredWorkflow(record=record, began=document.began, changed=row.changed)
            if len(rows) < query.limit:
                return
            wanted = evolve(wanted, after=rows[-1].sort_key)


def _timers(record: Record) -> Iterator[DueTimer]:
    for name, timer in record.timers.items():
        yield DueTimer(
            id=timer.id,
            name=name,
            subject=record.subject,
            handler=record.handler,
            due=datetime.fromisoformat(timer.at),
        )


def index_query(query: WorkflowQuery) -> IndexQuery:
    """Return the query of a list of workflows for an index."""
    after = query.after
    return IndexQuery(
        handler=query.handler,
        status=query.status,
        version=query.version,
        workflow_id=query.workflow_id,
        unchanged_since=query.unchanged_since,
        labels=tuple(query.lines),
        text=query.text,
        after=None if after is None else (after.changed, after.record.subject),
        limit=query.limit,
    )


def _row(record: Record, began: datetime, changed: datetime) -> IndexRow:
    return IndexRow(
        subject=record.subject,
        handler=record.handler,
        status=record.status,
        revision=record.revision,
        began=began,
        changed=changed,
        version=record.version,
        workflow_id=workflow_id_of(record.subject),
        labels=label_lines(record.labels),
    )


def _blocks(position: int, additions: Iterable[Addition], at: datetime) -> Iterator[HistoryBlock]:
    """Encode what adds to a history as blocks from a position on."""
    time = at.isoformat()
    entries = [entry for addition in additions for entry in _encode(addition, time)]
    for start in range(0, len(entries), BLOCK_ENTRIES_MAX):
        block = entries[start : start + BLOCK_ENTRIES_MAX]
        yield HistoryBlock(position + start, len(block), orjson.dumps(block))


def _encode(addition: Addition, time: str) -> Iterator[list[Any]]:
    if isinstance(addition, Record):
        yield [addition.revision, "replaced", time, addition.to_dict()]
        return
    assert addition.record is not None
    revision = addition.record.revision
    if addition.now is not None:
        time = addition.now.isoformat()
    yield [revision, "consumed", time, _fragment(addition.event)]
    for event in addition.events:
        yield [revision, "produced", time, _fragment(event)]


def _fragment(event: Event[Any]) -> orjson.Fragment:
    return orjson.Fragment(event.to_bytes())


def _entries(block: HistoryBlock) -> Iterator[HistoryEntry]:
    for offset, (revision, kind, at, content) in enumerate(orjson.loads(block.content)):
        encoded, is_replacement = orjson.dumps(content), kind == "replaced"
        yield HistoryEntry(
            position=block.position + offset,
            revision=revision,
            kind=kind,
            at=datetime.fromisoformat(at),
            event=None if is_replacement else decode_event(encoded),
            record=decode_record(encoded) if is_replacement else None,
        )
