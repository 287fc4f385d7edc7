"""Reconnect: keeps a session open for a backend, and replaces it when it is lost."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, final

from attrs import define, field

from arvo.core.commit import PendingTimer
from arvo.interpreters.delivery.backpressure import Backpressure
from arvo.interpreters.delivery.claims import ClaimLoop
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.delivery.tasks import end_task, supervise
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.postgres.connection.connection import has_failed
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.session.maintenance import MaintenanceLoop
from arvo.interpreters.postgres.session.session import Session, open_session
from arvo.interpreters.postgres.session.writer import Writer
from arvo.interpreters.postgres.statements.group_commit import write
from arvo.interpreters.postgres.statements.write_batch import WriteBatch, Written
from arvo.interpreters.services.registrations import Registrations

# The pause before another attempt to connect.
RETRY_SECONDS: Final = 0.2


@final
@define(eq=False)
class SessionManager:
    """Opens a session at the first call, and another one when it was lost.

    *now*, *lease* and *retention* are those of the backend. *services*: what this process serves;
    each session registers it. With each new session *claims* drops
    the deliveries that were not received yet.
    """

    dsn: Dsn
    claims: ClaimLoop
    backpressure: Backpressure
    now: Callable[[], datetime]
    lease: float
    retention: Retention
    services: Registrations = field(factory=Registrations, init=False)
    _opening: "asyncio.Task[tuple[Session, Writer]] | None" = field(default=None, init=False)
    _maintaining: "asyncio.Task[None] | None" = field(default=None, init=False)
    _maintenance: MaintenanceLoop | None = field(default=None, init=False)
    _is_closing: bool = field(default=False, init=False)
    # The id of the session that was lost.
    _previous_worker_id: int | None = field(default=None, init=False)

    async def open(self) -> tuple[Session, Writer]:
        """Return the session and its writer; open them if there is none or it was lost."""
        if self._opening is not None and self._is_over(self._opening):
            self._opening = None
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="arvo postgres opening")
        if self._maintaining is None or self._maintaining.done():
            self._maintaining = supervise(
                self._maintain(),
                name="arvo postgres maintenance",
                on_failure=self._fail_waiters,
            )
        # Shielded: other callers wait for the same task.
        return await asyncio.shield(self._opening)

    async def session(self) -> Session:
        """Return the session."""
        return (await self.open())[0]

    @property
    def is_open(self) -> bool:
        """True if a session is open, or is being opened."""
        return self._opening is not None

    def schedule(self, timers: Sequence[PendingTimer]) -> None:
        """Poll when the first of these timers is due."""
        if timers and self._maintenance is not None:
            self._maintenance.schedule(min(timer.due for timer in timers))

    async def close(self) -> None:
        """Release the deliveries of this process, and close the connections.

        Writes that have begun are finished. The next call opens new connections.
        """
        maintaining, self._maintaining = self._maintaining, None
        if maintaining is not None:
            self._is_closing = True
            if self._maintenance is not None:
                self._maintenance.stop()
            await end_task(maintaining)
            self._is_closing = False
        await self.claims.stop()
        opening, self._opening = self._opening, None
        if opening is not None:
            with suppress(Unavailable, Corrupt):  # it was never opened
                session, writer = await opening
                if session.is_lost:
                    writer.refuse(Unavailable("the connections to Postgres were lost"))
                await writer.stop()
                await session.close()
        self._previous_worker_id = None

    def _is_over(self, opening: "asyncio.Task[tuple[Session, Writer]]") -> bool:
        if has_failed(opening):
            return True
        if not opening.done():
            return False
        session, writer = opening.result()
        if session.is_lost:
            self._previous_worker_id = session.worker_id
            writer.refuse(Unavailable("the connections to Postgres were lost"))
        return session.is_lost

    async def _open(self) -> tuple[Session, Writer]:
        self.claims.drop_ready()
        try:
            session = await open_session(
                self.dsn,
                timedelta(seconds=self.lease),
                services=self.services.encode(),
                previous_worker_id=self._previous_worker_id,
                on_notify=self.claims.notify,
                on_lost=self._wake_maintenance,
            )
        except Unavailable:
            await asyncio.sleep(RETRY_SECONDS)
            raise
        self._previous_worker_id = None

        async def write_group(batches: Sequence[WriteBatch]) -> list[Written]:
            async with session.pool.acquire() as connection:
                return await write(connection, self.dsn, session.worker_id, batches, self.now())

        return session, Writer(write_group, session.invalidate)

    async def _maintain(self) -> None:
        """Maintain one session after the other, until the backend is closed.

        A worker that waits for deliveries makes no other call, so a lost session has to be replaced
        without one.
        """
        while not self._is_closing:
            try:
                await self._maintain_session(await self.session())
            except Unavailable:
                continue
            except Corrupt as error:
                self._fail_waiters(error)
                return

    async def _maintain_session(self, session: Session) -> None:
        # The backend may have been closed while the session was opened.
        if self._is_closing:
            return
        self._maintenance = MaintenanceLoop(
            session, self.claims, self.backpressure, self.now, self.lease, self.retention
        )
        await self._maintenance.run()
        if session.is_lost:
            await session.terminate()

    def _wake_maintenance(self) -> None:
        if self._maintenance is not None:
            self._maintenance.wake()

    def _fail_waiters(self, error: Exception) -> None:
        """Raise an error in the calls that wait for deliveries: none would come."""
        self.claims.queues.fail(error)
