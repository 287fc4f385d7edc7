"""Channel: the reports of a Postgres schema, whose readers poll a table."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import final

from attrs import define, field

from arvo.interpreters.delivery.claims import token_of
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.postgres.reports import statements
from arvo.interpreters.postgres.session.reconnect import SessionManager
from arvo.interpreters.postgres.statements.dead_letters import subject_digest
from arvo.interpreters.reports.polled import RENEW_SECONDS


@final
@define(eq=False)
class PostgresReports:
    """A `ReportChannel` in a table that is not logged.

    A batch is written only while a reader of its workflow renews its own row. Not by `notify`,
    whose commits wait for each other in the whole database, and which takes 8,000 bytes.
    """

    sessions: SessionManager

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Store a batch for the readers, if this worker still owns the delivery."""
        session, token = await self.sessions.session(), token_of(delivery)
        subject = subject_digest(delivery.message.event.subject)
        owned = token.delivery_id, token.worker_id
        # Not as a write of the session, which a failure would end.
        await session.read(lambda c: statements.add(c, session.dsn, subject, batch, owned))

    @asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator["PostgresReader"]:
        """Return a context with a reader of a subject."""
        reader = PostgresReader(self.sessions, subject_digest(subject))
        await reader.renew()
        session = await self.sessions.session()
        reader.last = await session.read(lambda c: statements.newest(c, session.dsn))
        yield reader


@final
@define(eq=False)
class PostgresReader:
    """A `ReportReader` that has read the batches up to the id *last*."""

    sessions: SessionManager
    subject: bytes
    last: int = 0
    _renewed_at: float = field(default=0.0, init=False)

    async def take(self) -> Sequence[bytes]:
        """Return the batches that were stored since."""
        if asyncio.get_running_loop().time() - self._renewed_at >= RENEW_SECONDS:
            await self.renew()
        session = await self.sessions.session()
        rows = await session.read(
            lambda c: statements.after(c, session.dsn, self.subject, self.last)
        )
        if rows:
            self.last = rows[-1][0]
        return [content for _, content in rows]

    async def renew(self) -> None:
        """Let workers know for a while that there is a reader."""
        self._renewed_at = asyncio.get_running_loop().time()
        session = await self.sessions.session()
        await session.read(lambda c: statements.renew(c, session.dsn, self.subject))
