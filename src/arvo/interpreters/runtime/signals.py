"""Signals: the operating system's requests to stop the process."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

# A service manager sends SIGTERM; Ctrl-C sends SIGINT.
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_interrupt(callback: Callable[[], None]) -> Iterator[None]:
    """Call *callback* in the running event loop for each SIGTERM and SIGINT, inside the block.

    The default action of the signals is suppressed meanwhile. Only the main thread may use this.
    """
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - Python's signature
        loop.call_soon_threadsafe(callback)

    # Not `loop.add_signal_handler`: Windows lacks it, and it does not restore earlier handlers.
    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
