"""Generators: closes them, and warns about one that was made and never driven."""

import sys
import warnings
from collections.abc import Coroutine, Generator
from itertools import islice
from typing import Any, Final, final

from arvo.interrupts import is_interrupt

# Attempts to close a generator whose `finally` blocks yield.
CLOSE_ATTEMPTS_MAX: Final = 1_000
# Frames that may lie between a generator that is closed and `close_generator`: those of composed
# functions, and of the `finally` blocks that run.
FRAMES_MAX: Final = 20


def close_generator(generator: Generator[Any, Any, Any] | Coroutine[Any, Any, Any]) -> None:
    """Close a generator that is not needed any more.

    This runs its `finally` blocks too early, or late; their exceptions, and what they ask for, are
    ignored.
    """
    for _ in range(CLOSE_ATTEMPTS_MAX):
        try:
            generator.close()
            return
        except RuntimeError:
            continue  # a `finally` yielded; the generator is at its next `yield`
        except BaseException as error:
            if is_interrupt(error):
                raise
            return


@final
class Undriven:
    """A mark of a generator that has not started: an argument of it, which lives as long.

    A generator without `yield from` does nothing, and Python drops it in silence. This warns, as
    Python does for a coroutine that was never awaited, with the line that called the function
    *name*: the caller of the one that makes the mark.
    """

    __slots__ = ("_code", "_globals", "_instruction", "_name")

    def __init__(self, name: str) -> None:
        caller = sys._getframe(2)  # noqa: SLF001 - `inspect.stack` reads files
        # The line is computed when it is needed.
        self._code = caller.f_code
        self._instruction = caller.f_lasti
        self._globals = caller.f_globals
        self._name = name

    def start(self) -> None:
        """Note that the generator has started."""
        self._name = ""

    def __del__(self) -> None:
        # A generator that was made early, to be driven later, is dropped with the one that holds
        # it: a step closes a handler at its next effect, and begins it anew.
        if self._name and not sys.is_finalizing() and not _is_closing():
            positions = islice(self._code.co_positions(), self._instruction // 2, None)
            line = next(positions)[0]
            warnings.warn_explicit(
                f"{self._name}(...) does nothing by itself: write `yield from {self._name}(...)`",
                RuntimeWarning,
                self._code.co_filename,
                line or self._code.co_firstlineno,
                module=self._globals.get("__name__"),
                # As `warnings.warn` does: one warning for each line.
                registry=self._globals.setdefault("__warningregistry__", {}),
            )


def _is_closing() -> bool:
    frame, code = sys._getframe(1).f_back, close_generator.__code__  # noqa: SLF001
    for _ in range(FRAMES_MAX):
        if frame is None:
            return False
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False
