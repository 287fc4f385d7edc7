"""Output: results on standard output (text or JSON), status on standard error."""

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias, final

import orjson
from attrs import define, field, frozen
from cyclopts import Parameter
from rich.console import Console

from arvo.interpreters.runtime.batches import BatchResult
from arvo.printable import printable, printable_json, printable_lines

# How often the status line changes at the most.
STATUS_SECONDS: Final = 0.1
STATUS_CHARACTERS_MAX: Final = 78
_CLEAR: Final = "\r\x1b[2K"


@final
@define
class StatusLine:
    """The last line of a terminal, on standard error, which other output replaces."""

    _is_shown: bool = field(default=False, init=False)
    _shown_at: float = field(default=0.0, init=False)

    def show(self, text: str) -> None:
        """Show a text, if the one before has been there for a moment."""
        now = time.monotonic()
        if now - self._shown_at >= STATUS_SECONDS:
            self._is_shown, self._shown_at = True, now
            sys.stderr.write(_CLEAR + printable(text, STATUS_CHARACTERS_MAX))
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            self._is_shown = False
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


STATUS_LINE: Final = StatusLine()


def print_line(text: str) -> None:
    """Print text without markup, truncation or wrapping, so that a subject can be copied.

    It holds the line breaks of its layout; every other control character is escaped.
    """
    STATUS_LINE.clear()
    Console(soft_wrap=True).print(printable_lines(text), markup=False, emoji=False, highlight=False)


def print_json(content: Mapping[str, Any]) -> None:
    """Print *content* as one line of JSON, which a terminal shows as it is."""
    STATUS_LINE.clear()
    sys.stdout.write(printable_json(orjson.dumps(content).decode()) + "\n")


@final
@frozen(kw_only=True)
class _Output:
    """How results are printed.

    Parameters
    ----------
    json
        Print results as JSON, one object a line.
    """

    json: Annotated[bool, Parameter("--json", negative="")] = False

    def show(self, content: Mapping[str, Any], text: str) -> None:
        """Print one result: its *content* as JSON, or its *text*."""
        print_json(content) if self.json else print_line(text)


# The parameter of each command that prints results.
Output: TypeAlias = Annotated[_Output, Parameter("*")]
TEXT: Final = _Output()


def print_result(result: BatchResult, output: _Output) -> int:
    """Print how far an act on many has come; return the exit code, 1 if some were refused."""
    refusals = [{"id": id_, "reason": str(violation)} for id_, violation in result.refusals]
    names = ("matched", "done", "gone", "refused", "more")
    counts = {name: getattr(result, name) for name in names}
    output.show({**counts, "refusals": refusals}, str(result))
    return 1 if result.refused else 0


def print_done(output: _Output) -> int:
    """Print the result of an act on one, which only a program needs; return the exit code 0."""
    return print_result(BatchResult(matched=1, done=1), output) if output.json else 0


def print_status(text: str) -> None:
    """Print a status or error line to standard error, escaped."""
    STATUS_LINE.clear()
    sys.stderr.write(f"arvo: {printable(text)}\n")
    sys.stderr.flush()
