"""Within: run the coroutine of a test with a time limit, so that it fails instead of hanging."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def within(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    """Run *work* in a new event loop, for at most *seconds*."""

    async def go() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(go())
