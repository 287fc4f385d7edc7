"""Dead letter: the line that is logged for each dead letter, once it is stored."""

from typing import Final

from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.log.fields import fields
from arvo.interpreters.delivery.log.logger import get_logger
from arvo.interpreters.ports.messages import DeadLetter

logger: Final = get_logger("worker")


def log_dead_letter(dead_letter: DeadLetter, handler: str | None = None) -> None:
    """Log a dead letter that is stored. *handler*: the handler that emitted its event, if any."""
    if isinstance(dead_letter.to, ToHandler):
        handler = dead_letter.to.address
    violation = dead_letter.violation
    extra = fields(
        dead_letter.event,
        handler=handler,
        reason=dead_letter.reason,
        error=None if violation is None else type(violation).__name__,
        attempts=dead_letter.attempts,
        dead_letter=dead_letter.id,
        remedy=f"remove the cause, then: arvo dead-letters redrive {dead_letter.id}",
    )
    logger.warning("dead letter stored", extra=extra)
