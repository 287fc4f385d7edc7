"""Returns: deliveries that go back to the database, to be delivered again after a delay."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import final

from attrs import define

from arvo.interpreters.delivery.claims import ClaimLoop, token_of
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.postgres.connection.dsn import Connection
from arvo.interpreters.postgres.limits.release import release
from arvo.interpreters.postgres.session.reconnect import SessionManager
from arvo.interpreters.postgres.session.session import Session
from arvo.interpreters.postgres.statements import deliveries


@final
@define(eq=False)
class DeliveryReturns:
    """Returns deliveries, with the in-process queues kept in step. *now*: the clock of delays."""

    sessions: SessionManager
    claims: ClaimLoop
    now: Callable[[], datetime]

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery; this worker keeps it, and with it the key."""
        session = None
        try:
            session = await self.sessions.session()
            is_owned = await self._write(session, delivery, delay, deferred=False)
        except Unavailable:
            if _may_own(session):
                # No other process would deliver it.
                self.claims.postpone(delivery, delivery, delay)
            else:
                # It is released with the session, and the next one claims it.
                self.claims.release(delivery)
            raise
        if is_owned:
            self.claims.postpone(delivery, delivery.retried, delay)
        else:
            self.claims.release(delivery)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery unclaimed: any worker may claim it when it is due."""
        session = None
        try:
            session = await self.sessions.session()
            await self._write(session, delivery, delay, deferred=True)
        except Unavailable:
            self.claims.release(delivery)
            if _may_own(session):
                self.claims.queues.put_delayed(delivery, delay)
            raise
        self.claims.release(delivery)
        self.claims.notify_after(delay)

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery unclaimed, as the same attempt: any worker may claim it when it is due,
        and then the others of its key, which go with it.
        """
        session, token, slots = None, token_of(delivery), _give_up(delivery)
        due = self.now() + timedelta(seconds=delay)
        try:
            session = await self.sessions.session()
            if session.worker_id == token.worker_id:
                ids = token.delivery_id, token.worker_id
                dsn = session.dsn

                async def give_back(connection: Connection) -> bool:
                    await deliveries.release(connection, dsn, *ids, due)
                    return True

                await _write_freeing(session, token.delivery_id, slots, give_back)
        except Unavailable:
            if _may_own(session):
                self.claims.postpone(delivery, delivery, delay)
            else:
                self.claims.release(delivery)
            raise
        self.claims.drop(delivery)

    async def _write(
        self, session: Session, delivery: Delivery, delay: float, *, deferred: bool
    ) -> bool:
        """Write the next attempt of a delivery; False if this worker no longer owns it."""
        token, attempt, slots = token_of(delivery), delivery.retried.attempt, _give_up(delivery)
        if session.worker_id != token.worker_id:
            return False
        due = self.now() + timedelta(seconds=delay)
        change = deliveries.defer if deferred else deliveries.nack
        return await _write_freeing(
            session,
            token.delivery_id,
            slots,
            lambda c: change(c, session.dsn, token.delivery_id, token.worker_id, attempt, due),
        )


async def _write_freeing(
    session: Session,
    delivery_id: int,
    slots: Sequence[str],
    change: Callable[[Connection], Awaitable[bool]],
) -> bool:
    """Return a delivery by *change*, and free its slots; False if it has another owner."""

    async def work(connection: Connection) -> bool:
        async with connection.transaction():
            is_owned = await change(connection)
            if is_owned:
                await release(connection, session.dsn, [delivery_id], slots)
            return is_owned

    return await session.write(work if slots else change)


def _give_up(delivery: Delivery) -> tuple[str, ...]:
    """Return the slots that a delivery holds: from now on it holds none.

    Where the answer is lost, the next attempt acquires them anew.
    """
    slots, delivery.progress.slots = delivery.progress.slots or (), None
    return slots


def _may_own(session: Session | None) -> bool:
    """Return True if the database still holds the deliveries of this session as owned."""
    return session is not None and not session.is_lost
