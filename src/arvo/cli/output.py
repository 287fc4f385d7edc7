"""Output: results on standard output (text or JSON), status on standard error."""

import sys
from collections.abc import Mapping
from typing import Any

import orjson
from rich.console import Console


def print_line(text: str) -> None:
    """Print one line without markup, truncation or wrapping, so that a subject can be copied."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def print_json(content: Mapping[str, Any]) -> None:
    """Print *content* as one line of JSON."""
    sys.stdout.write(orjson.dumps(content).decode() + "\n")


def print_status(text: str) -> None:
    """Print a status or error line to standard error."""
    sys.stderr.write(f"arvo: {text}\n")
    sys.stderr.flush()
