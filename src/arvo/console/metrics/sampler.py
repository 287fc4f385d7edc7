"""Sampler: reads the counts of a runtime at intervals, while its console is served."""

import asyncio
import time
from collections import deque
from typing import final

from attrs import define, field

from arvo.console.views.metrics.outcomes import INTERVAL_SECONDS, SAMPLES_MAX, Sample
from arvo.interpreters.delivery.tasks import end_task
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.runtime import Runtime


@final
@define(eq=False)
class Sampler:
    """The newest `SAMPLES_MAX` samples of a *client* that is a `Runtime`; none of another one.

    A sample is read in memory, so it costs the worker nothing, also while no page is open.
    """

    client: Client
    _samples: deque[Sample] = field(factory=lambda: deque(maxlen=SAMPLES_MAX), init=False)
    _sampling: "asyncio.Task[None] | None" = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.take()

    def start(self) -> None:
        """Take a sample at each interval from now on, in a task of this event loop."""
        if self._samples and self._sampling is None:
            self._sampling = asyncio.create_task(self._run(), name="arvo console samples")

    async def close(self) -> None:
        """Take no more samples."""
        if self._sampling is not None:
            await end_task(self._sampling)

    def take(self) -> None:
        """Take a sample now, in place of the oldest one."""
        if (sample := self.read()) is not None:
            self._samples.append(sample)

    def read(self) -> Sample | None:
        """Return the counts as they are now, None without a runtime."""
        if not isinstance(self.client, Runtime):
            return None
        return Sample(time.monotonic(), self.client.stats(), self.client.wait_counts())

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples, the oldest first, and the counts as they are now behind them."""
        now = self.read()
        return () if now is None else (*self._samples, now)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self.take()
