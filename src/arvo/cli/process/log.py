"""Log: how `arvo run` writes the log of its processes to standard error."""

import logging
import os
import sys
from typing import Final, Literal, TypeAlias, final

from attrs import frozen

from arvo.cli.terminal.output import print_status
from arvo.interpreters.delivery.log.formatters import EventFields, JsonFormatter, TextFormatter
from arvo.interpreters.delivery.log.logger import LOGGER

LogFormat: TypeAlias = Literal["text", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

# The logger of the supervisor's own lines.
_RUN: Final = "arvo.run"


@final
@frozen
class LogOptions:
    """The *format* of all lines, and the *level* of Arvo's own; other libraries log warnings."""

    format: LogFormat = "text"
    level: LogLevel = "info"

    def configure(self) -> None:
        """Configure `logging` in a worker process."""
        handler = logging.StreamHandler()
        handler.setFormatter(
            JsonFormatter()
            if self.format == "json"
            else TextFormatter(f"arvo[{os.getpid()}]: %(levelname)s %(message)s")
        )
        handler.addFilter(EventFields())
        logging.basicConfig(handlers=(handler,), level=logging.WARNING)
        logging.getLogger(LOGGER).setLevel(self.level.upper())
        # Python would print them between the lines of the log.
        logging.captureWarnings(capture=True)

    def report(self, text: str, level: int = logging.INFO) -> None:
        """Print a status line of the supervisor."""
        if self.format == "text":
            print_status(text)
            return
        record = logging.LogRecord(_RUN, level, "", 0, text, None, None)
        sys.stderr.write(f"{JsonFormatter().format(record)}\n")
        sys.stderr.flush()
