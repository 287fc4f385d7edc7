"""Clock: a loop whose time passes only while it waits, so that each run takes the same time."""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import patch

START: Final = 1_767_323_045_000_000_000
# What happens between two readings of the clock takes this long.
READING_NANOSECONDS: Final = 400_000


class Skipping(selectors.DefaultSelector):
    """A selector that does not wait: it adds to *nanoseconds* what it would have waited."""

    nanoseconds = 0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready now."""
        if timeout is not None and timeout > 0:
            self.nanoseconds += int(timeout * 1e9)
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop with the time of a `Skipping` selector."""

    def __init__(self) -> None:
        self.skipping = Skipping()
        super().__init__(self.skipping)

    def time(self) -> float:
        """Return the time in seconds."""
        return self.skipping.nanoseconds / 1e9

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(START / 1e9, UTC) + timedelta(seconds=self.time())

    def read(self) -> int:
        """Return the time in nanoseconds since 1970, which a little work leads to."""
        self.skipping.nanoseconds += READING_NANOSECONDS
        return START + self.skipping.nanoseconds


@contextmanager
def skipping_loop() -> Iterator[SkippingLoop]:
    """Give a loop whose time is also that of the spans."""
    loop = SkippingLoop()
    # Only our readings take time: how often the SDK reads its clock is its own affair.
    sdk = patch("opentelemetry.sdk.trace.time_ns", lambda: START + loop.skipping.nanoseconds)
    with patch("time.time_ns", loop.read), sdk:
        yield loop
    loop.close()
