"""Running: the user code that runs in the event loop, by task, for the watchdog of the worker."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.interpreters.delivery.log import HANDLED


@final
@frozen(eq=False)
class Running:
    """A *call* of user code, with the event in hand and the address of its handler."""

    call: str
    event: Event[Any] | None
    handler: str | None


_RUNNING: Final[dict["asyncio.Task[Any]", Running]] = {}


@contextmanager
def running(call: str) -> Iterator[None]:
    """Note that the current task awaits a *call* of user code.

    Not read from the context of the task: before Python 3.12 no other thread can read that.
    """
    task, handled = asyncio.current_task(), HANDLED.get()
    if task is None:
        yield
        return
    before = _RUNNING.get(task)
    _RUNNING[task] = Running(call, *((None, None) if handled is None else handled))
    try:
        yield
    finally:
        if before is None:
            del _RUNNING[task]
        else:
            _RUNNING[task] = before


def find_running(task: "asyncio.Task[Any]") -> Running | None:
    """Return the place at which a task waits; any thread may ask."""
    return _RUNNING.get(task)
