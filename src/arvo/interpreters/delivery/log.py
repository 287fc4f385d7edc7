"""Log: the loggers of this package, which log foreign text escaped."""

import logging
import traceback
from collections.abc import Mapping
from typing import Any, Final, final

from arvo.printable import INDENT, printable, printable_block

LOGGER: Final = "arvo"
# A reason may be as long as an event. The dead letter has all of it.
ARGUMENT_CHARACTERS_MAX: Final = 4_000
TRACEBACK_CHARACTERS_MAX: Final = 100_000


def get_logger(name: str = LOGGER) -> logging.Logger:
    """Return a logger whose records hold no control character, whatever their arguments hold.

    The filter is on the logger itself, because the handlers and formatters belong to the user.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_PRINTABLE)
    return logger


@final
class PrintableFormatter(logging.Formatter):
    """Formats the records of any logger for a terminal: no text begins a line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line of a record; the lines below it are indented."""
        return printable_block(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback."""
        return format_traceback(ei[1])

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return the stack of the call that logs."""
        return printable_block(stack_info)


def format_traceback(error: BaseException | None) -> str:
    """Return the traceback of an exception; the lines of its message are escaped and indented."""
    if error is None:
        return ""
    try:
        summary = traceback.TracebackException.from_exception(error)
        _indent_notes(summary)
        # A chunk is a frame, a message with all of its lines, or the text between two tracebacks.
        text = "".join(f"{_printable_chunk(chunk)}\n" for chunk in summary.format())
    except Exception:  # noqa: BLE001 - a log call must not raise for an exception it cannot format
        return type(error).__name__
    return text[:TRACEBACK_CHARACTERS_MAX].removesuffix("\n")


def _printable_chunk(chunk: str) -> str:
    body = chunk.strip("\n")
    before, _, after = chunk.removesuffix("\n").partition(body) if body else (chunk, "", "")
    return f"{before}{printable_block(body)}{after}"


def _indent_notes(summary: traceback.TracebackException) -> None:
    """Indent the notes of all exceptions: each of their lines is a chunk of its own."""
    remaining: list[traceback.TracebackException | None] = [summary]
    while remaining:
        if (one := remaining.pop()) is None:
            continue
        notes = getattr(one, "__notes__", None)
        if isinstance(notes, list):
            lines = [line for note in notes for line in str(note).split("\n")]
            one.__notes__ = [INDENT + line for line in lines]
        remaining += [one.__cause__, one.__context__, *(one.exceptions or ())]


@final
class _PrintableFilter(logging.Filter):
    """Escapes the arguments of a record and formats its traceback; it rejects no record."""

    def filter(self, record: logging.LogRecord) -> bool:
        match record.args:
            case tuple(arguments):
                record.args = tuple(map(_printable_argument, arguments))
            case Mapping() as named:
                record.args = {name: _printable_argument(value) for name, value in named.items()}
            case None:
                pass
        if record.exc_info and not record.exc_text:
            # A formatter that finds this text does not format the exception itself.
            record.exc_text = format_traceback(record.exc_info[1])
        return True


_PRINTABLE: Final = _PrintableFilter("")


def _printable_argument(value: object) -> object:
    # Numbers stay numbers, for %d and %g.
    if value is None or isinstance(value, int | float):
        return value
    try:
        return printable(str(value), ARGUMENT_CHARACTERS_MAX)
    except Exception:  # noqa: BLE001 - an exception of a user may have a __str__ that raises
        return f"a {type(value).__name__}"
