"""Search: finds the rows that changed last in a stream, from the newest message back."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from arvo.interpreters.nats.storage.rows import StoredRow
from arvo.interpreters.ports.index import IndexQuery, IndexRow

# How far apart the time at which a workflow changed and that at which its row was stored may be: as
# long as a row is not late by the clock of the server, and the request that stores it.
APART: Final = timedelta(seconds=40)
# Sequences that a search reads at first; more where few rows match.
WINDOW: Final = 512
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Rows(Protocol):
    """The source of a search; see `RowStream`."""

    async def bounds(self) -> tuple[int, int]: ...

    async def first_since(self, pattern: str, time: datetime) -> int | None: ...

    def read(self, pattern: str, low: int, high: int) -> AsyncIterator[list[StoredRow]]: ...


async def search_prompt(
    rows: Rows, pattern: str, query: IndexQuery, found: tuple[IndexRow, ...]
) -> tuple[IndexRow, ...]:
    """Return the page of *found* and the rows of a pattern, which were stored `APART` of the time
    at which their workflow changed, or less.

    It reads what the page needs and the rows of the time around it, whatever lies before.
    """
    first, high = await rows.bounds()
    ends = [query.unchanged_since, None if query.after is None else query.after[0]]
    if known := [end for end in ends if end is not None]:
        # The last one may have changed at the same time.
        since = min(known) + APART + timedelta(microseconds=1)
        high = await rows.first_since(pattern, since) or high
    window, latest = WINDOW, _NEVER
    while high > first:
        low, number = max(first, high - window), 0
        async for batch in rows.read(pattern, low, high):
            if not number:
                # No row before this one has changed later than this.
                latest = batch[0].at + APART
            number += len(batch)
            found = query.select((*found, *(stored.row for stored in batch)))
        if len(found) == query.limit and found[-1].changed > latest:
            break
        high = low
        if number < window // 4:
            window *= 4
    return found
