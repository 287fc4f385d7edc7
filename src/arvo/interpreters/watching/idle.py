"""Idle: the items of an async iterator, and a mark where none came for a while."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


async def with_idle(
    items: AsyncGenerator[T, None], seconds: float, until: float
) -> AsyncGenerator[T | None, None]:
    """Yield the items, and None whenever none has come for *seconds*; end at the time *until* of
    the event loop. It closes *items*.
    """
    loop = asyncio.get_running_loop()
    # The next item is awaited on across marks: a generator that is cancelled has ended.
    coming: asyncio.Future[T] = asyncio.ensure_future(anext(items))
    try:
        while (left := until - loop.time()) > 0:
            await asyncio.wait([coming], timeout=min(seconds, left))
            if not coming.done():
                yield None
                continue
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            yield item
            coming = asyncio.ensure_future(anext(items))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await items.aclose()
