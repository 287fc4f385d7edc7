"""History: the entries of a workflow's history after a position, oldest first."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.interpreters.ports.backend import Backend, find_outputs
from arvo.interpreters.ports.results import HISTORY_PAGE_MAX

# Entries of one read. A turn adds few, and each read returns so many, also those that are known.
PAGE_MAX: Final = 50


async def entries_after(
    backend: Backend, subject: str, after: int
) -> AsyncIterator[Sequence[HistoryEntry]]:
    """Yield the entries behind the position *after*, page by page; -1 is before the first."""
    while page := await _next_page(backend, subject, after):
        yield page
        after = page[-1].position


async def find_completion(backend: Backend, record: Record) -> Event[Any] | None:
    """Return the event by which a workflow completed; None if the backend no longer has it."""
    done = f"{record.handler}.done"
    if (retaining := find_outputs(backend)) is not None:
        outputs = await retaining.produced(record.subject)
        return next((event for event in reversed(outputs) if event.type == done), None)
    before = None
    while page := await backend.history(record.subject, before=before, limit=HISTORY_PAGE_MAX):
        for entry in reversed(page):
            if entry.kind == "produced" and entry.event is not None and entry.event.type == done:
                return entry.event
        before = page[0].position
    return None


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
