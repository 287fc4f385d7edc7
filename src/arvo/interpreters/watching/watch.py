"""Watch: follows one workflow from a position of its history until it ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from arvo.core.record import Record
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.watching.history import entries_after, find_completion
from arvo.interpreters.watching.item import WatchItem, WorkflowEnded
from arvo.interpreters.watching.reports import CurrentReports, open_reader

# The first and the longest pause between two reads of a workflow.
POLL_SECONDS_MIN: Final = 0.02
POLL_SECONDS_MAX: Final = 0.5


async def watch_workflow(
    backend: Backend, subject: str, after: int, shortest_pause: Callable[[], float]
) -> AsyncGenerator[WatchItem, None]:
    """Yield the entries of a workflow's history behind the position *after*, as they are committed,
    what its effects report meanwhile, and then how it ended.

    A workflow that has not begun is waited for. Raises `Unavailable` and `Corrupt`; a caller that
    watches again after the last position that it got misses no entry.
    """
    seen: Record | None = None
    pause = POLL_SECONDS_MIN
    async with open_reader(backend, subject) as reader:
        reports = CurrentReports(reader)
        while True:
            # Before the history: that has every entry of the turns that the record shows.
            record = await backend.load(subject)
            is_changed = record is not None and (seen is None or record.revision != seen.revision)
            if is_changed:
                async for page in entries_after(backend, subject, after):
                    after = page[-1].position
                    # What was reported before a turn ended is there when its entries are.
                    before, behind = reports.end_turns(page, await reports.take())
                    items: tuple[WatchItem, ...] = (*before, *page, *behind)
                    for item in items:
                        yield item
            waiting = await reports.take()
            for report in waiting:
                yield report
            if record is None and seen is not None:
                yield WorkflowEnded(status=None)
                return
            if record is not None and record.status != "active":
                yield await _ended(backend, record)
                return
            seen = record
            pause = POLL_SECONDS_MIN if is_changed or waiting else min(2 * pause, POLL_SECONDS_MAX)
            await asyncio.sleep(max(pause, shortest_pause()))


async def _ended(backend: Backend, record: Record) -> WorkflowEnded:
    if record.status != "done":
        return WorkflowEnded(status=record.status, failure=record.failure)
    return WorkflowEnded(status="done", completion=await find_completion(backend, record))
