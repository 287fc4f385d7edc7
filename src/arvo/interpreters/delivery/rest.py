"""Rest: wait until nothing is under way any more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

# How often it is asked, at first and at last.
ASK_SECONDS_MIN: Final = 0.002
ASK_SECONDS_MAX: Final = 0.05


async def until_rest(is_busy: Callable[[], Awaitable[bool]]) -> None:
    """Ask, less and less often, until the answer is no."""
    wait = ASK_SECONDS_MIN
    while await is_busy():
        await asyncio.sleep(wait)
        wait = min(2 * wait, ASK_SECONDS_MAX)
