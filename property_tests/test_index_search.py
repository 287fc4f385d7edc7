"""Laws of a search in a stream of rows: it finds the page, and reads little besides."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import get_args

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from arvo import IndexQuery, IndexRow
from arvo.core.record import Status
from arvo.interpreters.nats.storage.rows import StoredRow
from arvo.interpreters.nats.storage.search import APART, WINDOW, search_prompt

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BATCH = 7
STATUSES: tuple[Status, ...] = get_args(Status)


@define
class Stream:
    """A stream with gaps, whose patterns are statuses; it counts the rows that are read."""

    rows: Sequence[StoredRow]
    reads: int = field(default=0, init=False)

    async def bounds(self) -> tuple[int, int]:
        return (self.rows[0].sequence, self.rows[-1].sequence + 1) if self.rows else (0, 1)

    async def first_since(self, pattern: str, time: datetime) -> int | None:
        return next((row.sequence for row in self._of(pattern) if row.at >= time), None)

    async def read(self, pattern: str, low: int, high: int) -> AsyncIterator[list[StoredRow]]:
        found = [row for row in self._of(pattern) if low <= row.sequence < high]
        self.reads += len(found)
        for start in range(0, len(found), BATCH):
            yield found[start : start + BATCH]

    def _of(self, pattern: str) -> list[StoredRow]:
        return [row for row in self.rows if pattern in ("*", row.row.status)]


def stored(number: int, sequence: int, at: datetime, late: float, status: Status) -> StoredRow:
    """Make the row of a workflow that changed *late* seconds before *at*."""
    row = IndexRow(
        subject=f"s{number}",
        handler="com.one",
        status=status,
        revision=1,
        began=NOW,
        changed=at - timedelta(seconds=late),
        version=("", "1.0.0", "2.0.0")[number % 3],
        labels="\nodd=true\n" if number % 2 else "",
    )
    return StoredRow(row, f"row.{number}", sequence, at)


SECONDS = APART.total_seconds()
# For each row: the sequences and the seconds since the one before, how late it is, and its status.
ROWS = st.lists(
    st.tuples(
        st.sampled_from((1, 1, 1, 2, WINDOW, 50_000)),
        st.sampled_from((0.0, 0.5, SECONDS, 10 * SECONDS)),
        st.sampled_from((0.0, 0.5, SECONDS, -SECONDS, SECONDS / 2)),
        st.sampled_from(STATUSES),
    ),
    max_size=60,
)


def make_stream(drawn: Sequence[tuple[int, float, float, Status]]) -> Stream:
    sequences = list(accumulate(gap for gap, *_ in drawn))
    times = [NOW + timedelta(seconds=passed) for passed in accumulate(each[1] for each in drawn)]
    rows = [
        stored(number, sequences[number], times[number], late, status)
        for number, (_, _, late, status) in enumerate(drawn)
    ]
    return Stream(rows)


@given(
    ROWS,
    st.none() | st.sampled_from(STATUSES),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from((None, "1.0.0")),
    st.none() | st.floats(0, 100 * SECONDS),
)
def test_the_pages_of_a_search_are_those_of_the_whole_list(
    drawn: list[tuple[int, float, float, Status]],
    status: Status | None,
    limit: int,
    is_labelled: bool,
    version: str | None,
    since: float | None,
) -> None:
    """However late each row was stored, within the bound, and wherever the gaps are."""
    query = IndexQuery(
        status=status,
        limit=limit,
        labels=("\nodd=true\n",) if is_labelled else (),
        version=version,
        unchanged_since=None if since is None else NOW + timedelta(seconds=since),
    )
    stream = make_stream(drawn)
    everything = evolve(query, limit=len(drawn) + 1).select(each.row for each in stream.rows)
    listed: list[IndexRow] = []

    while page := asyncio.run(search_prompt(stream, status or "*", query, ())):
        listed += page
        query = evolve(query, after=page[-1].sort_key)

    assert tuple(listed) == everything


MANY = make_stream([(1, 1.0, 0.0, "active")] * (5 * WINDOW)).rows


@given(st.integers(0, 20))
def test_a_page_reads_no_more_rows_than_lie_around_it(page: int) -> None:
    """A list of many workflows costs a little for each page, the last one as well as the first."""
    stream = Stream(MANY)
    last = stream.rows[-1 - 100 * page].row
    query = IndexQuery(status="active", limit=100, after=last.sort_key)

    found = asyncio.run(search_prompt(stream, "active", query, ()))

    assert [row.subject for row in found] == [
        each.row.subject for each in stream.rows[-101 - 100 * page : -1 - 100 * page]
    ][::-1]
    assert stream.reads <= 2 * WINDOW
