"""Failures: logs what code of the application raised within telemetry. It stops no delivery."""

import time
from typing import Final

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.log.limit import LineLimit
from arvo.interrupts import is_interrupt

logger: Final = get_logger("telemetry")

_LIMIT: Final = LineLimit(time.monotonic)


def report_failure(error: BaseException) -> None:
    """Log what a sampler, a processor or an exporter raised, unless it is to end the process."""
    if is_interrupt(error):
        raise error
    # It would fail for each delivery.
    if _LIMIT.is_due():
        extra = fields(reason=repr(error), unlogged=_LIMIT.unlogged)
        logger.warning("telemetry failed", extra=extra)


def report_argument(argument: str, error: BaseException) -> str:
    """Log what a function of the user raised, unless it is to end the process; return the text."""
    if is_interrupt(error):
        raise error
    text = f"{argument}= raised {error!r}"
    extra = fields(argument=argument, reason=repr(error))
    logger.warning("a function of observe() raised", extra=extra)
    return text
