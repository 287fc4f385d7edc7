"""Every: several pieces of work at once, of which none goes on behind the caller's back."""

import asyncio
from collections.abc import Awaitable, Iterable


async def every(works: Iterable[Awaitable[object]]) -> None:
    """Do all of it, then raise what the first that failed has raised."""
    for found in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found
