"""Channel: the reports of a SQLite file, whose readers poll a table."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import final

from attrs import define, field

from arvo.interpreters.delivery.claims import token_of
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.reports.polled import READER_SECONDS, RENEW_SECONDS
from arvo.interpreters.sqlite.reports import statements
from arvo.interpreters.sqlite.session.session import Session


@final
@define(eq=False)
class SqliteReports:
    """A `ReportChannel` in a table. *now*: the time in milliseconds.

    A batch is written only while a reader of its workflow renews its own row, so effects that
    nobody watches write nothing.
    """

    session: Session
    now: Callable[[], int]

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Store a batch for the readers, if this worker still owns the delivery."""
        session, subject = self.session, delivery.message.event.subject
        if not await session.read(lambda c: statements.has_reader(c, subject, self.now())):
            return
        writer, token = await session.open(), token_of(delivery)
        owned = token.delivery_id, token.worker_id
        await writer.write(lambda c: statements.add(c, subject, batch, owned, self.now()))

    @asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator["SqliteReader"]:
        """Return a context with a reader of a subject."""
        reader = SqliteReader(self.session, subject, self.now)
        await reader.renew()
        reader.last = await self.session.read(statements.newest)
        yield reader


@final
@define(eq=False)
class SqliteReader:
    """A `ReportReader` that has read the batches up to the id *last*."""

    session: Session
    subject: str
    now: Callable[[], int]
    last: int = 0
    _renewed_at: float = field(default=0.0, init=False)

    async def take(self) -> Sequence[bytes]:
        """Return the batches that were stored since."""
        if asyncio.get_running_loop().time() - self._renewed_at >= RENEW_SECONDS:
            await self.renew()
        rows = await self.session.read(lambda c: statements.after(c, self.subject, self.last))
        if rows:
            self.last = rows[-1][0]
        return [content for _, content in rows]

    async def renew(self) -> None:
        """Let workers know for a while that there is a reader."""
        self._renewed_at = asyncio.get_running_loop().time()
        writer, now = await self.session.open(), self.now()
        until = now + int(READER_SECONDS * 1000)
        await writer.write(lambda c: statements.renew(c, self.subject, until, now))
