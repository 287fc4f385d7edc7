"""Index: the protocol of a store that lists the workflows of a pair and stores their histories."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import nlargest
from typing import Final, Protocol, final, runtime_checkable

from attrs import frozen

from arvo.core.record import Status
from arvo.interpreters.ports.results import PAGE_MAX

# History entries in one block at most: a reader of entries looks for the block that they begin in.
BLOCK_ENTRIES_MAX: Final = 64


@final
@frozen(kw_only=True)
class IndexRow:
    """What a list selects and sorts a workflow by.

    *revision*: of its record. *version*: of its handler's contract; empty in rows of earlier
    versions of this library. *workflow_id*: empty for none. *labels*: as `label_lines` has them.
    *began*, *changed*: the times of its first and its last turn, in UTC.
    """

    subject: str
    handler: str
    status: Status
    revision: int
    began: datetime
    changed: datetime
    version: str = ""
    workflow_id: str = ""
    labels: str = ""

    @property
    def sort_key(self) -> tuple[datetime, str]:
        """Its place in a list; the highest one comes first."""
        return self.changed, self.subject


@final
@frozen
class HistoryBlock:
    """Consecutive entries of a workflow's history: *length* of them, `BLOCK_ENTRIES_MAX` at most.

    *position*: that of the first. *content*: the entries; an index does not interpret the bytes.
    """

    position: int
    length: int
    content: bytes


@final
@frozen(kw_only=True)
class IndexQuery:
    """Which rows to return, *limit* at most; None and empty values select all.

    *labels*: parts of `IndexRow.labels`, of which a row has all. *text*: a part of the workflow id
    or of the labels. *unchanged_since*: rows that changed before. *version* selects those without
    one, too: the record has it. *after*: the place of the last row of the previous page.
    """

    handler: str | None = None
    status: Status | None = None
    version: str | None = None
    workflow_id: str | None = None
    unchanged_since: datetime | None = None
    labels: tuple[str, ...] = ()
    text: str | None = None
    after: tuple[datetime, str] | None = None
    limit: int = PAGE_MAX

    def matches(self, row: IndexRow) -> bool:
        """Return whether a row is among those to return, whatever the limit is."""
        return (
            self.status in (None, row.status)
            and self.handler in (None, row.handler)
            and (self.version is None or row.version in ("", self.version))
            and self.workflow_id in (None, row.workflow_id)
            and (self.unchanged_since is None or row.changed < self.unchanged_since)
            and (self.after is None or row.sort_key < self.after)
            and all(line in row.labels for line in self.labels)
            and (self.text is None or self.text in row.workflow_id or self.text in row.labels)
        )

    def select(self, rows: Iterable[IndexRow]) -> tuple[IndexRow, ...]:
        """Return the page of *rows* to return, the most recently changed first."""
        return tuple(nlargest(self.limit, filter(self.matches, rows), key=_sort_key))


def _sort_key(row: IndexRow) -> tuple[datetime, str]:
    return row.sort_key


class Index(Protocol):
    """Lists the workflows of a pair, and stores their histories: the small port beside the memory.

    A pair writes to it after the record of a turn is durable and before the delivery is
    acknowledged. Until a write has succeeded the pair repeats it, in any process: with the same
    blocks, and perhaps with a row of a later revision. So a row is late at times, and never lost.

    All operations raise `Unavailable` when a retry can succeed, `Corrupt` when an operator must
    act, and nothing else. When a write has returned, its effect survives every failure that the
    store of the records survives. A write that raised `Unavailable` may have been applied, wholly
    or in part.
    """

    async def write(self, row: IndexRow, blocks: Sequence[HistoryBlock]) -> None:
        """Store a row in place of one of a lower revision, and the blocks that are not stored yet.

        A row of the same or a higher revision stays, and so does a block at a stored position.
        *blocks* come in the order of their positions, and no earlier one is ever missing.
        """
        ...

    async def search(self, query: IndexQuery) -> Sequence[IndexRow]:
        """Return the rows that match, the highest `sort_key` first.

        It costs no more for rows of other statuses, handlers and workflow ids.
        """
        ...

    async def blocks(self, subject: str, start: int, end: int) -> Sequence[HistoryBlock]:
        """Return the blocks of a workflow with entries from position *start* to before *end*."""
        ...

    async def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete the rows and histories of workflows that are done or cancelled and changed
        *before*, *limit* at most; return how many. A failed one is not among them.
        """
        ...


@runtime_checkable
class HasIndex(Protocol):
    """A memory that brings an index of the same store with it, which a pair uses."""

    @property
    def index(self) -> Index | None:
        """The index, None where it is turned off."""
        ...
