"""Handler: the records of `logging` as log records of OpenTelemetry."""

import logging
from typing import Final, final

from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber

from arvo.interpreters.delivery.log.fields import add_context, fields_of
from arvo.interpreters.delivery.log.logger import LOGGER
from arvo.interpreters.delivery.log.tracebacks import format_traceback
from arvo.telemetry.conventions import names
from arvo.telemetry.logs.failures import report_failure

# The handlers that are attached, and for how many runtimes: a line is exported once.
_ATTACHED: Final[dict[LoggerProvider, tuple[logging.Handler, int]]] = {}


def attach_handler(provider: LoggerProvider) -> None:
    """Export the lines of Arvo's log to *provider*, until `detach_handler` is called as often."""
    handler, number = _ATTACHED.get(provider, (None, 0))
    if handler is None:
        handler = LogHandler(provider.get_logger(names.SCOPE))
        logging.getLogger(LOGGER).addHandler(handler)
    _ATTACHED[provider] = handler, number + 1


def detach_handler(provider: LoggerProvider) -> None:
    """Undo one call of `attach_handler`."""
    handler, number = _ATTACHED.pop(provider)
    if number > 1:
        _ATTACHED[provider] = handler, number - 1
    else:
        logging.getLogger(LOGGER).removeHandler(handler)


@final
class LogHandler(logging.Handler):
    """Emits the records of `logging` to an OpenTelemetry *logger*, with the current span.

    The fields of a record are its attributes. Not the handler of the SDK, which is deprecated for
    one of another package.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Emit a record; what a processor raises is reported once in ten seconds."""
        try:
            self._logger.emit(_log_record(record))
        except BaseException as error:  # noqa: BLE001 - code of the application
            report_failure(error)


def _log_record(record: logging.LogRecord) -> LogRecord:
    add_context(record)
    attributes = {
        name: value if isinstance(value, bool | int | float | str) else repr(value)
        for name, value in fields_of(record).items()
        # A record of OpenTelemetry has them itself.
        if name not in ("otelTraceID", "otelSpanID")
    }
    attributes[names.LOGGER] = record.name
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        attributes[names.EXCEPTION_TYPE] = type(error).__name__
        attributes[names.EXCEPTION_MESSAGE] = str(error)
        attributes[names.EXCEPTION_STACKTRACE] = format_traceback(error)
    return LogRecord(
        timestamp=int(record.created * 1_000_000_000),
        severity_text=record.levelname,
        severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.UNSPECIFIED),
        body=record.getMessage(),
        attributes=attributes,
    )


_SEVERITIES: Final = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
