"""Limits: lets the deliveries of a process take the slots of limits, or parks them."""

import sqlite3
from collections.abc import Sequence

from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.sqlite.session.session import Session
from arvo.interpreters.sqlite.statements.deliveries import delivery_id
from arvo.interpreters.sqlite.statements.limits import Acquired, acquire


async def acquire_slots(session: Session, requests: Sequence[SlotRequest]) -> list[bool]:
    """Acquire the slots of deliveries in one transaction; those that get none are forgotten."""
    writer, worker_id = await session.open(), session.worker_id
    open_ = [request for request in requests if request.delivery.progress.slots is None]
    numbered = [(delivery_id(request.delivery), request.slots) for request in open_]

    def work(connection: sqlite3.Connection) -> Acquired:
        acquired = acquire(connection, worker_id, numbered, session.now())
        session.maintenance.expect(acquired.due)
        return acquired

    def on_done(acquired: Acquired) -> None:
        for request, is_held in zip(open_, acquired.held, strict=True):
            if is_held:
                request.delivery.progress.slots = request.places
            else:
                session.claims.drop(request.delivery)
        if acquired.is_claimable:
            session.claims.notify()

    if open_:
        await writer.write(work, on_done)
    return [request.delivery.progress.slots is not None for request in requests]
