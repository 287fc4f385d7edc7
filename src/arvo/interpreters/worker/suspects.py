"""Suspects: deliveries that had a worker that died; they may end this worker as well."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports.backend import Backend, CountsDeaths
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.observer import settle
from arvo.interpreters.worker.retry import DeliveryRetry
from arvo.interpreters.worker.stats import Stats

# The fewest deaths that make a dead letter, whatever the policy: at the first one the worker may
# only have fetched the delivery.
DEATHS_MIN: Final = 2
# Deaths from which suspects are processed one at a time. A delivery that was in progress beside the
# one that ended the process is a suspect as well; alone it shows that it does no harm. Not from the
# first death: most deaths have another cause, and the deliveries in progress may take long.
ALONE_FROM: Final = 2
# How long a suspect waits for the one before it.
ALONE_SECONDS_MAX: Final = 60.0


@final
@define(eq=False)
class Suspects:
    """Processes the deliveries with deaths, and ends those that had too many.

    *retry*: dead-letters a delivery, and knows how many attempts it has.
    """

    backend: Backend
    retry: DeliveryRetry
    stats: Stats
    alone_seconds: float = ALONE_SECONDS_MAX
    _counting: CountsDeaths | None = field(init=False)
    _alone: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        # Checked once: `isinstance` with a protocol is slow.
        self._counting = self.backend if isinstance(self.backend, CountsDeaths) else None

    async def process(
        self, delivery: Delivery, dispatch: Callable[[Delivery], Awaitable[None]]
    ) -> None:
        """Process a delivery with *dispatch*, or dead-letter it if too many workers died."""
        if delivery.deaths >= self._deaths_max(delivery):
            await self.retry.end(delivery)
            return
        async with self._turn(delivery):
            # Here and not earlier: a suspect that still waits would be counted for another one.
            if self._counting is None or await self._counting.mark_started(delivery):
                await dispatch(delivery)
            else:
                self.stats.fenced += 1
                settle(delivery, "fenced")

    def _deaths_max(self, delivery: Delivery) -> int:
        return max(self.retry.policy_of(delivery).attempts, DEATHS_MIN)

    @asynccontextmanager
    async def _turn(self, delivery: Delivery) -> AsyncIterator[None]:
        """Wait until no other delivery with as many deaths is in progress in this process."""
        # Below the last attempt in any case: a good event must not be taken for the bad one.
        if delivery.deaths < min(ALONE_FROM, self._deaths_max(delivery) - 1):
            yield
            return
        is_acquired = False
        with suppress(TimeoutError):
            async with asyncio.timeout(self.alone_seconds):
                is_acquired = await self._alone.acquire()
        try:
            yield
        finally:
            if is_acquired:
                self._alone.release()
