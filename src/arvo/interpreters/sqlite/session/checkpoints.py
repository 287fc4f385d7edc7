"""Checkpoints: the results of a step's effects, in the row of its delivery."""

from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.results import CheckpointResult, Committed, Fenced
from arvo.interpreters.sqlite.session.session import Session, delivery_id
from arvo.interpreters.sqlite.statements import deliveries


async def checkpoint(session: Session, delivery: Delivery, progress: bytes) -> CheckpointResult:
    """Write the *progress* of a delivery, if this worker still owns it."""
    writer, worker_id, id_ = await session.open(), session.worker_id, delivery_id(delivery)
    if await writer.write(lambda c: deliveries.checkpoint(c, id_, worker_id, progress)):
        delivery.progress.data = progress
        return Committed()
    session.claims.release(delivery)
    return Fenced()
