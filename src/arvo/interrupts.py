"""Interrupts: which exceptions come from outside of the code that they end."""

from collections.abc import Iterator
from inspect import CO_VARARGS, CO_VARKEYWORDS
from opcode import opmap
from types import FrameType, TracebackType
from typing import Final

_RAISE: Final = opmap["RAISE_VARARGS"]


def is_interrupt(error: BaseException) -> bool:
    """Return True if *error* ends the code from outside; False if the code itself raised it.

    From outside come an exception that a signal handler raises in whatever code is running, a
    `KeyboardInterrupt` of Python's own handler of Ctrl-C, and the `GeneratorExit` of a generator or
    coroutine that is closed. Such an exception must pass through. All others are an outcome of the
    code, also `SystemExit` and other exceptions that are no `Exception`: a server that let them
    pass would end for one event, and end again when that event is redelivered.

    >>> is_interrupt(SystemExit(1)), is_interrupt(KeyboardInterrupt())
    (False, False)
    """
    steps = tuple(_steps(error.__traceback__))
    before: FrameType | None = None
    for step in steps:
        if before is not None and _is_signal_handler(step.tb_frame, before):
            return True
        before = step.tb_frame
    if not steps or not isinstance(error, KeyboardInterrupt | GeneratorExit):
        return False
    # The interpreter raises these two between two instructions, where no `raise` is executed.
    last = steps[-1]
    return last.tb_frame.f_code.co_code[last.tb_lasti] != _RAISE


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_signal_handler(frame: FrameType, interrupted: FrameType) -> bool:
    """Return True for a function that was called with the frame that it interrupted.

    Not by the handlers that are installed: asking for them needs `signal`, which pure code lacks.
    """
    code = frame.f_code
    number = code.co_argcount + code.co_kwonlyargcount
    number += bool(code.co_flags & CO_VARARGS) + bool(code.co_flags & CO_VARKEYWORDS)
    for name in code.co_varnames[:number]:
        value = frame.f_locals.get(name)
        if value is interrupted:
            return True
        if isinstance(value, tuple) and any(each is interrupted for each in value):
            return True
    return False
