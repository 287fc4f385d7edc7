"""Batches: written through the current session, with the in-process queues kept in step."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import final

from attrs import define

from arvo.interpreters.codecs.offloaded import NotUploaded
from arvo.interpreters.delivery.backpressure import Backpressure
from arvo.interpreters.delivery.claims import ClaimLoop, Token, to_deliveries, token_of
from arvo.interpreters.delivery.codec import encode_progress
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import (
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
)
from arvo.interpreters.postgres.session.reconnect import SessionManager
from arvo.interpreters.postgres.session.session import Session
from arvo.interpreters.postgres.statements import deliveries, refusals
from arvo.interpreters.postgres.statements.write_batch import ChainRefused, WriteBatch, Written


@final
@define(eq=False)
class BatchWriter:
    """Writes batches, releases the deliveries that they remove, and delivers their messages."""

    sessions: SessionManager
    claims: ClaimLoop
    backpressure: Backpressure

    async def write(self, batch: WriteBatch, delivery: Delivery | None = None) -> CommitResult:
        """Write a batch, which removes *delivery* if there is one."""
        session, writer = await self.sessions.open()
        if delivery is not None and token_of(delivery).worker_id != session.worker_id:
            # It was released with the session in which it was received.
            self.claims.release(delivery)
            return Fenced()

        on_done = partial(self._on_done, session, batch, delivery)
        result = (await writer.write(batch, on_done)).result
        assert not isinstance(result, ChainRefused)
        return result

    async def write_chains(self, batches: Sequence[WriteBatch]) -> list[bool]:
        """Write chains, each of them in one transaction, and return which were applied."""
        session, writer = await self.sessions.open()
        futures = [
            writer.submit(batch, partial(self._on_done, session, batch, batch.delivery))
            # A delivery of an earlier session is not owned any more: its next commit is fenced.
            if all(token_of(each).worker_id == session.worker_id for each in batch.consumed)
            else None
            for batch in batches
        ]
        submitted = [future for future in futures if future is not None]
        if submitted:
            # All of them, even if one fails: the caller has to know which others were applied.
            await asyncio.wait(submitted)
        applied = [future is not None and _is_applied(future) for future in futures]
        for future in submitted:
            error = future.exception()
            # One whose record is to be a blob is processed by itself.
            is_refused = isinstance(error, NotUploaded)
            if isinstance(error, Unavailable):
                is_refused = any(applied)
            if error is not None and not is_refused:
                raise error
        return applied

    def _on_done(
        self, session: Session, batch: WriteBatch, delivery: Delivery | None, written: Written
    ) -> None:
        result = written.result
        if delivery is not None and isinstance(result, Committed | Duplicate | Fenced):
            # The caller first: it caches the record, which the next turn would load otherwise.
            asyncio.get_running_loop().call_soon(self.claims.release, delivery, batch.followers)
            if not isinstance(result, Fenced):
                self.backpressure.add(-1 - len(batch.followers))
        if isinstance(result, Committed):
            self.backpressure.add(len(batch.deliveries))
        self.claims.deliver(to_deliveries(session.worker_id, written.rows))
        if self.sessions.dsn.pooler:
            # No notification comes, not even that of this process.
            self.claims.notify_of(row.message for row in batch.deliveries)
            if batch.slots:
                self.claims.notify()

    async def mark_started(self, delivery: Delivery) -> bool:
        """Mark that this worker processes a delivery; forget it if it belongs to another one."""
        session = await self.sessions.session()
        token: Token[int] = token_of(delivery)
        is_owned = session.worker_id == token.worker_id and await session.write(
            lambda c: deliveries.mark_started(c, session.dsn, token.delivery_id, token.worker_id)
        )
        if not is_owned:
            self.claims.release(delivery)
        return is_owned

    async def find_refusal(
        self, delivery: Delivery, expected: int | None
    ) -> Conflict | Duplicate | IdReused | Fenced | None:
        """Return why a turn would be refused; forget a delivery that belongs to another worker."""
        session, token = await self.sessions.session(), token_of(delivery)
        owned = token.delivery_id, token.worker_id
        refusal = await session.read(
            lambda c: refusals.find_refusal(c, session.dsn, delivery.message, owned, expected)
        )
        if isinstance(refusal, Fenced):
            self.claims.release(delivery)
        return refusal

    async def find_consumption(self, message: Message) -> Duplicate | IdReused | None:
        """Return the refusal of an event that was consumed before."""
        session = await self.sessions.session()
        return await session.read(lambda c: refusals.find_consumption(c, session.dsn, message))

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Write the *progress* of a delivery, if this worker still owns it."""
        session, token = await self.sessions.session(), token_of(delivery)
        content = encode_progress(progress, delivery.message.event, session.dsn.codec)
        if token.worker_id == session.worker_id and await session.write(
            lambda c: deliveries.checkpoint(
                c, self.sessions.dsn, token.delivery_id, token.worker_id, content
            )
        ):
            delivery.progress.data = progress
            return Committed()
        self.claims.release(delivery)
        return Fenced()


def rows_of(deliveries: Sequence[Delivery]) -> tuple[int, ...]:
    """Return the ids of the rows of deliveries."""
    return tuple(token_of(delivery).delivery_id for delivery in deliveries)


def _is_applied(future: "asyncio.Future[Written]") -> bool:
    return future.exception() is None and isinstance(future.result().result, Committed)
