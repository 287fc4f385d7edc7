"""Checkpoints: the results of a step's effects, in the row of its delivery."""

from arvo.interpreters.delivery.claims import token_of
from arvo.interpreters.delivery.codec import encode_progress
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.results import (
    CheckpointResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
)
from arvo.interpreters.sqlite.session.session import Session
from arvo.interpreters.sqlite.statements import deliveries, refusals


async def find_refusal(
    session: Session, delivery: Delivery, expected: int | None
) -> Conflict | Duplicate | IdReused | Fenced | None:
    """Return why a turn of a delivery would be refused; it is forgotten if it has another owner."""
    token, message = token_of(delivery), delivery.message
    owned = token.delivery_id, token.worker_id
    refusal = await session.read(lambda c: refusals.find_refusal(c, message, owned, expected))
    if isinstance(refusal, Fenced):
        session.claims.release(delivery)
    return refusal


async def checkpoint(session: Session, delivery: Delivery, progress: bytes) -> CheckpointResult:
    """Write the *progress* of a delivery, if this worker still owns it."""
    writer, token = await session.open(), token_of(delivery)
    content = encode_progress(progress, delivery.message.event, session.codec)
    if await writer.write(
        lambda c: deliveries.checkpoint(c, token.delivery_id, token.worker_id, content)
    ):
        delivery.progress.data = progress
        return Committed()
    session.claims.release(delivery)
    return Fenced()
