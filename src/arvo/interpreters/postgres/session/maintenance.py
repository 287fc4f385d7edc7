"""Maintenance: lease renewal, timers, dead workers, purging, and polls as a safety net."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, final

from attrs import define, field

from arvo.interpreters.delivery.backpressure import Backpressure
from arvo.interpreters.delivery.claims import ClaimLoop
from arvo.interpreters.delivery.retention import PURGE_BATCH_ROWS, Retention
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.postgres.limits.release import repair
from arvo.interpreters.postgres.session.session import Session
from arvo.interpreters.postgres.statements import deliveries, timers, workers
from arvo.interpreters.postgres.statements.purge import purge

# How often the database is polled for lost notifications, timers of other processes, and dead
# workers. An idle process asks two small queries each time.
POLL_SECONDS: Final = 1.0
# How often the lease is renewed, where a third of it is not shorter.
RENEW_SECONDS: Final = 5.0
# How often expired rows are purged; after a full batch the next poll purges again.
PURGE_SECONDS: Final = 5.0


@final
@define(eq=False)
class MaintenanceLoop:
    """Maintains one session until it is lost.

    *lease* in seconds. *claims* is notified of unclaimed deliveries, *backpressure* is updated with
    the number of deliveries.
    """

    session: Session
    claims: ClaimLoop
    backpressure: Backpressure
    now: Callable[[], datetime]
    lease: float
    retention: Retention
    _next_due: datetime | None = field(default=None, init=False)
    _is_woken: asyncio.Event = field(factory=asyncio.Event, init=False)
    _is_stopped: bool = field(default=False, init=False)
    _renewed_at: float = field(default=0.0, init=False)
    _purged_at: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Poll until the session is lost or `stop` is called; raises `Corrupt`."""
        while not self.session.is_lost and not self._is_stopped:
            with suppress(Unavailable):
                await self._poll()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._is_woken.wait()
            self._is_woken.clear()

    def wake(self) -> None:
        """Poll at once."""
        self._is_woken.set()

    def stop(self) -> None:
        """End `run`."""
        self._is_stopped = True
        self.wake()

    def schedule(self, due: datetime) -> None:
        """Poll when a timer is due that this process has set."""
        if self._next_due is None or due < self._next_due:
            self._next_due = due
            self.wake()

    def _pause(self) -> float:
        if self._next_due is None:
            return POLL_SECONDS
        seconds = (self._next_due - self.now()).total_seconds()
        return min(max(seconds, 0.001), POLL_SECONDS)

    async def _poll(self) -> None:
        session, dsn, now = self.session, self.session.dsn, self.now()
        clock = asyncio.get_running_loop().time()
        if not await self._renew_lease(clock):
            # Another process took this worker for dead and released its deliveries.
            session.invalidate()
            return
        if await session.read(lambda c: workers.expired(c, dsn, session.worker_id)):
            await session.write(lambda c: workers.release(c, dsn, session.worker_id, now))
        due, is_claimable = await self._poll_deliveries(now)
        if due is not None and (self._next_due is None or due < self._next_due):
            self._next_due = due
        if self._next_due is not None and self._next_due <= now:
            await session.write(lambda c: timers.fire(c, dsn, now))
            self._next_due = None
            self.wake()
        if is_claimable:
            self.claims.notify()
        if self.backpressure.depth is not None:
            await self.backpressure.recount(
                lambda: session.read(lambda c: deliveries.count(c, dsn))
            )
        await self._purge(clock, now)

    async def _renew_lease(self, clock: float) -> bool:
        if clock - self._renewed_at >= min(RENEW_SECONDS, self.lease / 3):
            session, lease = self.session, timedelta(seconds=self.lease)
            if not await session.write(
                lambda c: workers.renew_lease(c, session.dsn, session.worker_id, lease)
            ):
                return False
            self._renewed_at = clock
        return True

    async def _poll_deliveries(self, now: datetime) -> tuple[datetime | None, bool]:
        # Before the query: it may not see a timer that is scheduled while it runs.
        self._next_due = None
        queues = list(self.claims.served)
        return await self.session.read(lambda c: deliveries.poll(c, self.session.dsn, queues, now))

    async def _purge(self, clock: float, now: datetime) -> None:
        if clock - self._purged_at >= PURGE_SECONDS:
            self._purged_at, session = clock, self.session
            deleted = await session.write(lambda c: purge(c, session.dsn, self.retention, now))
            await session.write(lambda c: repair(c, session.dsn))
            if deleted >= PURGE_BATCH_ROWS:
                # With a poll in between, or timers would wait until everything is purged.
                self._purged_at = clock - PURGE_SECONDS
                self.wake()
