"""Output: results on standard output (text or JSON), status on standard error."""

import sys
from collections.abc import Mapping
from typing import Any

import orjson
from rich.console import Console

from arvo.interpreters.runtime.batches import BatchResult
from arvo.printable import printable, printable_json, printable_lines


def print_line(text: str) -> None:
    """Print text without markup, truncation or wrapping, so that a subject can be copied.

    It holds the line breaks of its layout; every other control character is escaped.
    """
    Console(soft_wrap=True).print(printable_lines(text), markup=False, emoji=False, highlight=False)


def print_json(content: Mapping[str, Any]) -> None:
    """Print *content* as one line of JSON, which a terminal shows as it is."""
    sys.stdout.write(printable_json(orjson.dumps(content).decode()) + "\n")


def print_result(result: BatchResult) -> int:
    """Print how far an act on many has come; return the exit code, 1 if some were refused."""
    print_line(str(result))
    return 1 if result.refused else 0


def print_status(text: str) -> None:
    """Print a status or error line to standard error, escaped."""
    sys.stderr.write(f"arvo: {printable(text)}\n")
    sys.stderr.flush()
