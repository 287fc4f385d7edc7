"""Watch: keeps a session's lease, and looks for what nobody sends word of."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, final

from attrs import define, field

from arvo.interpreters.delivery.backpressure import Room
from arvo.interpreters.delivery.claims import Feed
from arvo.interpreters.delivery.retention import BITE_ROWS, Retention
from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.postgres.session.session import Session
from arvo.interpreters.postgres.statements import deliveries, workers
from arvo.interpreters.postgres.statements.purge import forget

# How often the database is looked at: for words that were missed, timers that others set, and dead
# workers. A process that waits asks two small questions each time.
LOOK_SECONDS: Final = 1.0
# How often a lease is prolonged, where a third of it is not sooner.
BEAT_SECONDS: Final = 5.0
# How often what is too old is looked for. As long as a bite is a full one, each look takes another.
FORGET_SECONDS: Final = 5.0


@final
@define(eq=False)
class Watch:
    """Looks after one session until it is lost.

    *lease* in seconds; *keep*: how long what is over is remembered.
    """

    session: Session
    feed: Feed
    room: Room
    now: Callable[[], datetime]
    lease: float
    keep: Retention
    _next_due: datetime | None = field(default=None, init=False)
    _woken: asyncio.Event = field(factory=asyncio.Event, init=False)
    _stopped: bool = field(default=False, init=False)
    _beat: float = field(default=0.0, init=False)
    _forgot: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Look, until the session is lost or this is stopped; raises `Corrupt`."""
        while not self.session.is_lost and not self._stopped:
            with suppress(Unavailable):
                await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_due()):
                    await self._woken.wait()
            self._woken.clear()

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self.wake()

    def due(self, due: datetime) -> None:
        """Hear of a timer: look when it is due."""
        if self._next_due is None or due < self._next_due:
            self._next_due = due
            self.wake()

    def _until_due(self) -> float:
        if self._next_due is None:
            return LOOK_SECONDS
        left = (self._next_due - self.now()).total_seconds()
        return min(max(left, 0.001), LOOK_SECONDS)

    async def _look(self) -> None:
        session, address, now = self.session, self.session.address, self.now()
        clock = asyncio.get_running_loop().time()
        if clock - self._beat >= min(BEAT_SECONDS, self.lease / 3):
            lease = timedelta(seconds=self.lease)
            if not await session.write(lambda c: workers.renew(c, address, session.me, lease)):
                # We were taken for dead, and what waited here is others' now.
                session.lose()
                return
            self._beat = clock
        if await session.read(lambda c: workers.expired(c, address, session.me)):
            await session.write(lambda c: workers.release(c, address, session.me))
        found, is_claimable = await self._news(now)
        if found is not None and (self._next_due is None or found < self._next_due):
            self._next_due = found
        if self._next_due is not None and self._next_due <= now:
            await session.write(lambda c: deliveries.fire(c, address, now))
            self._next_due = None
            self.wake()
        if is_claimable:
            self.feed.news()
        if self.room.depth is not None:
            self.room.counted(await session.read(lambda c: deliveries.count(c, address)))
        if clock - self._forgot >= FORGET_SECONDS:
            self._forgot = clock
            gone = await session.write(lambda c: forget(c, address, self.keep, now))
            if gone >= BITE_ROWS:
                # With a look in between, or timers would wait until all is gone.
                self._forgot = clock - FORGET_SECONDS
                self.wake()

    async def _news(self, now: datetime) -> tuple[datetime | None, bool]:
        # What is heard of meanwhile may not be among what is found.
        self._next_due = None
        queues = list(self.feed.served)
        return await self.session.read(
            lambda c: deliveries.news(c, self.session.address, queues, now)
        )
