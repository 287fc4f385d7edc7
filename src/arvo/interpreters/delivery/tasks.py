"""Every: several pieces of work at once, of which none goes on behind the caller's back."""

import asyncio
from collections.abc import Awaitable, Iterable


async def every(works: Iterable[Awaitable[object]]) -> None:
    """Do all of it, then raise what the first that failed has raised."""
    all_ = list(works)
    if len(all_) == 1:
        # As most often, where one message is published: it needs no task of its own.
        await all_[0]
        return
    for found in await asyncio.gather(*all_, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found
