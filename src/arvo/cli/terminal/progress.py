"""Progress: a line on a terminal that shows how far a command has come."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from arvo.cli.terminal.output import STATUS_LINE
from arvo.interpreters.runtime.batches import BatchResult


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Return a context with a function that shows a text on standard error, in place of the last.

    It shows nothing where that is no terminal, and the line is gone at the end.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        yield STATUS_LINE.show
    finally:
        STATUS_LINE.clear()


@contextmanager
def batch_progress() -> Iterator[Callable[[BatchResult], None]]:
    """Return a context with a function that shows how far an act on many has come."""
    with progress() as show:
        yield lambda result: show(str(result).partition("\n")[0])
