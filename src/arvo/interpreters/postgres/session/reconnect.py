"""Keeper: keeps a session open for a backend, one after the other, until it is closed."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, final

from attrs import define, field

from arvo.core.commit import PendingTimer
from arvo.interpreters.delivery.backpressure import Room
from arvo.interpreters.delivery.claims import Feed, ended
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.backend import Corrupt, Unavailable
from arvo.interpreters.postgres.connection.connection import has_failed
from arvo.interpreters.postgres.connection.dsn import Address
from arvo.interpreters.postgres.session.maintenance import Watch
from arvo.interpreters.postgres.session.session import Session, open_session
from arvo.interpreters.postgres.session.writer import Writer
from arvo.interpreters.postgres.statements.group_commit import write
from arvo.interpreters.postgres.statements.write_batch import Unit, Written

# How long to wait before a server that is not there is asked again.
RETRY_SECONDS: Final = 0.2


@final
@define(eq=False)
class Keeper:
    """Opens a session when it is asked for one, and the next where that was lost.

    *now*, *lease* and *keep* are the backend's. What *feed* has is let go of with each session.
    """

    address: Address
    feed: Feed
    room: Room
    now: Callable[[], datetime]
    lease: float
    keep: Retention
    _opening: "asyncio.Task[tuple[Session, Writer]] | None" = field(default=None, init=False)
    _looking: "asyncio.Task[None] | None" = field(default=None, init=False)
    _watch: Watch | None = field(default=None, init=False)
    _closing: bool = field(default=False, init=False)
    # The number of the session that was lost.
    _before: int | None = field(default=None, init=False)

    async def opened(self) -> tuple[Session, Writer]:
        """Give the session; the first to ask opens it, and so does the first after it was lost."""
        if self._opening is not None and self._is_over(self._opening):
            self._opening = None
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="arvo postgres opening")
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_after(), name="arvo postgres watch")
        # Not to be cancelled by one of those who wait for it.
        return await asyncio.shield(self._opening)

    async def session(self) -> Session:
        """Give the session alone."""
        return (await self.opened())[0]

    def due(self, timers: Sequence[PendingTimer]) -> None:
        """Hear of timers: look when the first is due."""
        if timers and self._watch is not None:
            self._watch.due(min(timer.due for timer in timers))

    async def close(self) -> None:
        """Give back what is not settled, and close the connections; used again, it opens new ones.

        The feed takes nothing any more by then: it is stopped in between.
        """
        looking, self._looking = self._looking, None
        if looking is not None:
            self._closing = True
            if self._watch is not None:
                self._watch.stop()
            await ended(looking)
            self._closing = False
        await self.feed.stop()
        opening, self._opening = self._opening, None
        if opening is not None:
            with suppress(Unavailable, Corrupt):  # then it was never opened
                session, writer = await opening
                if session.is_lost:
                    writer.refuse(Unavailable("the connections to Postgres were lost"))
                await writer.stop()
                await session.close()
        self._before = None

    def _is_over(self, opening: "asyncio.Task[tuple[Session, Writer]]") -> bool:
        if has_failed(opening):
            return True
        if not opening.done():
            return False
        session, writer = opening.result()
        if session.is_lost:
            self._before = session.me
            writer.refuse(Unavailable("the connections to Postgres were lost"))
        return session.is_lost

    async def _open(self) -> tuple[Session, Writer]:
        self.feed.forget()
        try:
            session = await open_session(
                self.address,
                timedelta(seconds=self.lease),
                before=self._before,
                news=self.feed.news,
                lost=self._lost,
            )
        except Unavailable:
            await asyncio.sleep(RETRY_SECONDS)
            raise
        self._before = None

        async def write_group(units: Sequence[Unit]) -> list[Written]:
            async with session.pool.acquire() as connection:
                return await write(connection, self.address, session.me, units, self.now())

        return session, Writer(write_group, session.lose)

    async def _look_after(self) -> None:
        """Look after one session after the other, until the backend is closed.

        Whoever waits for deliveries asks for nothing else, so a session that is lost must be
        followed by another one without being asked for.
        """
        while not self._closing:
            try:
                await self._watch_over(await self.session())
            except Unavailable:
                continue
            except Corrupt as error:
                self.feed.lanes.fail(error)
                return

    async def _watch_over(self, session: Session) -> None:
        # It may have been opened while this was being closed.
        if self._closing:
            return
        self._watch = Watch(session, self.feed, self.room, self.now, self.lease, self.keep)
        await self._watch.run()
        if session.is_lost:
            await session.drop()

    def _lost(self) -> None:
        if self._watch is not None:
            self._watch.wake()
