"""Within: runs what a test does with servers, and fails rather than hang."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def within(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    """Run *work* in a loop of its own, so many *seconds* at the longest."""

    async def go() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(go())
