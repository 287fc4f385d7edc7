"""Logger: the loggers of this package, which log foreign text escaped."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, final

from arvo.interpreters.delivery.log.fields import add_context, fields_of
from arvo.interpreters.delivery.log.tracebacks import format_traceback
from arvo.printable import printable

LOGGER: Final = "arvo"
# A reason may be as long as an event. The dead letter has all of it.
TEXT_CHARACTERS_MAX: Final = 4_000

_LOGGERS: Final[dict[str, logging.Logger]] = {}


def get_logger(name: str) -> logging.Logger:
    """Return the logger `arvo.<name>`, whose records hold no control character.

    The filter is on the logger itself, because the handlers and formatters belong to the user. It
    also adds the event in hand and the current span to each record (see `add_context`).
    """
    logger = logging.getLogger(f"{LOGGER}.{name}")
    logger.addFilter(_FILTER)
    _LOGGERS[name] = logger
    return logger


@contextmanager
def silenced() -> Iterator[None]:
    """Disable all loggers of this package."""
    disabled = {logger: logger.disabled for logger in _LOGGERS.values()}
    for logger in disabled:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was_disabled in disabled.items():
            logger.disabled = was_disabled


@final
class _Filter(logging.Filter):
    """Adds context to a record, escapes its texts and formats its traceback; rejects no record."""

    def filter(self, record: logging.LogRecord) -> bool:
        add_context(record)
        match record.args:
            case () | None:
                # The message of a handler's `Log`, which no argument is formatted into.
                record.msg = _printable(record.msg)
            case tuple(arguments):
                record.args = tuple(map(_printable, arguments))
            case Mapping() as named:
                record.args = {name: _printable(value) for name, value in named.items()}
        vars(record).update({name: _field(value) for name, value in fields_of(record).items()})
        if record.exc_info and not record.exc_text:
            # A formatter that finds this text does not format the exception itself.
            record.exc_text = format_traceback(record.exc_info[1])
        return True


_FILTER: Final = _Filter("")


def _field(value: object) -> object:
    # A program reads these; their texts are escaped by the `repr` of their items.
    return value if isinstance(value, dict | list | tuple) else _printable(value)


def _printable(value: object) -> object:
    # Numbers stay numbers, for %d and %g.
    if value is None or isinstance(value, int | float):
        return value
    try:
        return printable(str(value), TEXT_CHARACTERS_MAX)
    except Exception:  # noqa: BLE001 - an exception of a user may have a __str__ that raises
        return f"a {type(value).__name__}"


_ROOT: Final = logging.getLogger(LOGGER)
# The application configures logging. Without a handler Python would print our warnings itself.
_ROOT.addHandler(logging.NullHandler())
# For the lines that users log through it; those of the loggers below do not pass its filters.
_ROOT.addFilter(_FILTER)
