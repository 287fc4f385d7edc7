"""Formatters: show the fields of log records, as text for people or as JSON for programs."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, final

from arvo.interpreters.delivery.log.fields import PREFIX, add_context, fields_of
from arvo.interpreters.delivery.log.tracebacks import format_traceback
from arvo.printable import printable, printable_block

# A value that needs no quotes; a subject, which may end in "=", is copied without them.
_BARE: Final = re.compile(r'[^\s"]+')
# Subjects are long, so what a person reads first comes before them.
_LAST: Final = "arvo_subject"


@final
class EventFields(logging.Filter):
    """Adds the event in hand and the current span to the records of any logger.

    Attach it to a handler. A record that is logged while a delivery is processed, such as one of an
    effect's function, gets `arvo_event`, `arvo_type`, `arvo_subject` and `arvo_handler`, and where
    an OpenTelemetry span is current, `otelTraceID` and `otelSpanID`. It rejects no record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields, and return True."""
        add_context(record)
        return True


@final
class TextFormatter(logging.Formatter):
    """Formats the records of any logger for people: the line, then the fields as `name=value`.

    *fmt* and the other arguments are those of `logging.Formatter`. No text begins a line of its
    own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line of a record with its fields; the lines below it are indented."""
        line = printable_block(super().formatMessage(record))
        found = fields_of(record)
        if _LAST in found:
            found[_LAST] = found.pop(_LAST)
        shown = [f"{_name(name)}={_value(value)}" for name, value in found.items()]
        first, *rest = line.split("\n")
        return "\n".join([" ".join([first, *shown]), *rest])

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback."""
        return format_traceback(ei[1])

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return the stack of the call that logs."""
        return printable_block(stack_info)


@final
class JsonFormatter(logging.Formatter):
    """Formats the records of any logger as one JSON object a line.

    Its keys are `time` (RFC 3339, UTC), `level`, `logger`, `process` (its id) and `message`, then
    the fields, and `exception`, the traceback, if there is one. A field with the name of one of
    these gets an underscore at the end. A value that JSON cannot hold is written as its text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        time = datetime.fromtimestamp(record.created, UTC)
        content: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        for name, value in fields_of(record).items():
            content[f"{name}_" if name in content or name == "exception" else name] = value
        if record.exc_info or record.exc_text:
            error = record.exc_info[1] if record.exc_info else None
            content["exception"] = record.exc_text or format_traceback(error)
        return to_json(content)


def to_json(content: Mapping[str, object]) -> str:
    """Return *content* as one line of JSON, in ASCII."""
    try:
        return _dumps(content)
    except (TypeError, ValueError, RecursionError):
        return _dumps({name: _json_value(value) for name, value in content.items()})


def _dumps(value: object) -> str:
    # Not orjson: the standard library escapes lone surrogates, which orjson refuses.
    return json.dumps(value, default=str, allow_nan=False)


def _json_value(value: object) -> object:
    try:
        _dumps(value)
    except (TypeError, ValueError, RecursionError):
        return _text(value)
    return value


def _name(name: str) -> str:
    return printable(name.removeprefix(PREFIX))


def _value(value: object) -> str:
    text = printable(_text(value))
    if _BARE.fullmatch(text):
        return text
    quoted = text.replace('"', r"\"")
    return f'"{quoted}"'


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a log call must not raise for a value that it cannot show
        return f"a {type(value).__name__}"
