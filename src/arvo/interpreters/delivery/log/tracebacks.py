"""Tracebacks: an exception as text in which no foreign text begins a line of its own."""

import traceback
from typing import Final

from arvo.printable import INDENT, printable_block

TRACEBACK_CHARACTERS_MAX: Final = 100_000


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
