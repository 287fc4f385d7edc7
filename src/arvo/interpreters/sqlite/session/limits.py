"""Limits: lets the deliveries of a process take the slots of limits, or parks them."""

import sqlite3
from collections.abc import Sequence
from itertools import compress

from arvo.interpreters.delivery.claims import token_of
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.sqlite.session.session import Session
from arvo.interpreters.sqlite.statements.limits import Acquired, acquire


async def acquire_slots(session: Session, requests: Sequence[SlotRequest]) -> list[bool]:
    """Acquire the slots of deliveries in one transaction; those that get none are forgotten."""
    writer = await session.open()
    open_ = [request for request in requests if request.delivery.progress.slots is None]

    def work(connection: sqlite3.Connection) -> tuple[Acquired, set[int]]:
        worker_id = session.maintenance.worker_id
        owned = [it for it in open_ if token_of(it.delivery).worker_id == worker_id]
        numbered = [(token_of(it.delivery).delivery_id, it.slots) for it in owned]
        acquired = acquire(connection, worker_id, numbered, session.now())
        session.maintenance.expect(acquired.due)
        return acquired, {id(it) for it in compress(owned, acquired.held)}

    def on_done(done: tuple[Acquired, set[int]]) -> None:
        acquired, held = done
        for request in open_:
            if id(request) in held:
                request.delivery.progress.slots = request.places
            else:
                session.claims.drop(request.delivery)
        if acquired.is_claimable:
            session.claims.notify()

    if open_:
        await writer.write(work, on_done)
    return [request.delivery.progress.slots is not None for request in requests]
