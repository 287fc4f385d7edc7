"""Until: waits for a state, so that no test depends on how fast a machine is."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], pause: float = 0.002) -> None:
    """Wait until *condition* holds, asked after each *pause*; the caller limits the time."""
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        await asyncio.sleep(pause)
