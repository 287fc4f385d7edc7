"""History: the entries of a workflow's history after a position, oldest first."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from arvo.core.history import HistoryEntry
from arvo.interpreters.ports.backend import Backend

# Entries of one read. A turn adds few, and each read returns so many, also those that are known.
PAGE_MAX: Final = 50


async def entries_after(
    backend: Backend, subject: str, after: int
) -> AsyncIterator[Sequence[HistoryEntry]]:
    """Yield the entries behind the position *after*, page by page; -1 is before the first."""
    while page := await _next_page(backend, subject, after):
        yield page
        after = page[-1].position


async def _next_page(backend: Backend, subject: str, after: int) -> Sequence[HistoryEntry]:
    page = await _page(backend, subject, after, after + 1 + PAGE_MAX)
    if page:
        return page
    # The backend may have dropped the entries in between: the oldest page that it still has.
    newest = await _page(backend, subject, after, None)
    while newest:
        page, newest = newest, await _page(backend, subject, after, newest[0].position)
    return page


async def _page(
    backend: Backend, subject: str, after: int, before: int | None
) -> Sequence[HistoryEntry]:
    entries = await backend.history(subject, before=before, limit=PAGE_MAX)
    return [entry for entry in entries if entry.position > after]
