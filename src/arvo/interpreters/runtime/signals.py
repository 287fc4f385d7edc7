"""Interrupts: what the operating system says to a process that shall stop."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

# What a service manager sends, and what Ctrl-C does.
INTERRUPTS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def interrupts(hear: Callable[[], None]) -> Iterator[None]:
    """Call *hear* in the running event loop for each interrupt, in place of what would happen.

    Only the main thread may do so.
    """
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - Python's signature
        loop.call_soon_threadsafe(hear)

    # Not `loop.add_signal_handler`, which Windows lacks, and which would not give back the
    # handlers that were there.
    before = {number: signal.signal(number, handle) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
