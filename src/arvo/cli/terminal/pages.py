"""Pages: the items of a list that the client gives in pages."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from arvo.interpreters.ports.results import PAGE_MAX

T = TypeVar("T")


async def paged(fetch: Callable[..., Awaitable[Sequence[T]]], limit: int) -> AsyncIterator[T]:
    """Yield up to *limit* items, which `fetch(after=, limit=)` returns page by page."""
    remaining, last = limit, None
    while remaining > 0 and (page := await fetch(after=last, limit=min(remaining, PAGE_MAX))):
        for item in page:
            yield item
        remaining, last = remaining - len(page), page[-1]
