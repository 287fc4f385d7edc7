"""Within: run the coroutine of a test with a time limit, so that it fails instead of hanging."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
# Seconds for the kit to wait on a server with leases. What the server sends to a consumer at the
# moment that it ends comes again when its lease of 30 seconds expires.
LEASE_TIMEOUT: Final = 90.0


def within(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    """Run *work* in a new event loop, for at most *seconds*."""

    async def go() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(go())
