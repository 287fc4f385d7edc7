"""Say: what the commands print, for people or as JSON for programs."""

import sys
from collections.abc import Mapping
from typing import Any

import orjson
from rich.console import Console


def say(text: str) -> None:
    """Print a line of output, as it stands and never cut: a subject is to be copied."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def say_json(content: Mapping[str, Any]) -> None:
    """Print a line of JSON."""
    sys.stdout.write(orjson.dumps(content).decode() + "\n")


def tell(text: str) -> None:
    """Tell the person at the keyboard, beside the output."""
    sys.stderr.write(f"arvo: {text}\n")
    sys.stderr.flush()
