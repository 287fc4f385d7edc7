"""Index: the shortest complete index of a pair, in dicts. It ends with the process."""

from collections.abc import Sequence
from datetime import datetime

from attrs import define, field

from arvo.core.record import ENDED_STATUSES
from arvo.interpreters.ports.index import HistoryBlock, IndexQuery, IndexRow


@define(eq=False)
class InMemoryIndex:
    """An `Index` in dicts, to read and for tests. Nothing survives the process.

    A list looks at each row, so it is not one for many workflows.
    """

    _rows: dict[str, IndexRow] = field(factory=dict, init=False)
    _blocks: dict[str, dict[int, HistoryBlock]] = field(factory=dict, init=False)

    async def write(self, row: IndexRow, blocks: Sequence[HistoryBlock]) -> None:
        """Store a row in place of one of a lower revision, and the blocks."""
        stored = self._blocks.setdefault(row.subject, {})
        for block in blocks:
            stored.setdefault(block.position, block)
        before = self._rows.get(row.subject)
        if before is None or before.revision < row.revision:
            self._rows[row.subject] = row

    async def search(self, query: IndexQuery) -> tuple[IndexRow, ...]:
        """Return the rows that match, the most recently changed first."""
        return query.select(self._rows.values())

    async def blocks(self, subject: str, start: int, end: int) -> tuple[HistoryBlock, ...]:
        """Return the blocks of a workflow with entries from *start* to before *end*."""
        stored = self._blocks.get(subject, {}).values()
        return tuple(each for each in stored if start - each.length < each.position < end)

    async def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete workflows that have ended before, with their histories."""
        rows = self._rows.values()
        ended = [
            row.subject for row in rows if row.status in ENDED_STATUSES and row.changed < before
        ]
        for subject in ended[:limit]:
            del self._rows[subject], self._blocks[subject]
        return len(ended[:limit])
