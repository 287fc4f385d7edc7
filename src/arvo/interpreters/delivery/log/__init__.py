"""Log: the loggers of this package, the fields of their records, and formatters that show them."""

from arvo.interpreters.delivery.log.dead_letter import log_dead_letter
from arvo.interpreters.delivery.log.fields import HANDLED, attribute_fields, fields
from arvo.interpreters.delivery.log.limit import LineLimit, loop_time
from arvo.interpreters.delivery.log.logger import get_logger, silenced
from arvo.interpreters.delivery.log.tracebacks import format_traceback

__all__ = [
    "HANDLED",
    "LineLimit",
    "attribute_fields",
    "fields",
    "format_traceback",
    "get_logger",
    "log_dead_letter",
    "loop_time",
    "silenced",
]
