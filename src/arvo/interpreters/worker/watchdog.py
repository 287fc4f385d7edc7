"""Watchdog: a thread that names the code which blocks the event loop, while it does."""

import asyncio
import sys
import threading
from typing import Any, Final, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.interpreters.calls.running import find_running
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.worker.blocking import TimedStep, describe_function

logger: Final = get_logger("worker")

# How often the thread looks, and how many looks in a row the loop may miss. They are counted, and
# no clock is read: a process that was stopped for a minute has blocked nothing.
LOOK_SECONDS: Final = 1.0
MISSED_MAX: Final = 10


@final
@define(eq=False)
class Watchdog:
    """A thread that logs the code which blocks the event *loop*, after `MISSED_MAX` looks, and
    again each time that it has taken twice as long.

    A handler that never returns is in no other line: `TimedStep` logs one that has returned. Code
    in C that does not release the interpreter, such as a regular expression, blocks this thread
    too. *step*: the step that the worker takes.
    """

    loop: asyncio.AbstractEventLoop
    step: TimedStep
    look_seconds: float = LOOK_SECONDS
    _thread_id: int = field(factory=threading.get_ident, init=False)
    _stopped: threading.Event = field(factory=threading.Event, init=False)
    # The thread sets it to False and asks the loop to set it to True.
    _has_run: bool = field(default=True, init=False)
    _missed: int = field(default=0, init=False)

    def start(self) -> None:
        """Start the thread; call this in the thread of the loop."""
        threading.Thread(target=self._watch, name="arvo watchdog", daemon=True).start()

    def stop(self) -> None:
        """End the thread, which may still be looking."""
        self._stopped.set()

    def look(self) -> None:
        """Look once whether the loop has run since the last look."""
        if self._has_run:
            self._missed = 0
            # A loop that waits is not woken for this.
            if asyncio.current_task(self.loop) is not None:
                self._has_run = False
                self.loop.call_soon_threadsafe(self._run)
            return
        self._missed += 1
        times, rest = divmod(self._missed, MISSED_MAX)
        if not rest and times.bit_count() == 1:
            self._log()

    def _watch(self) -> None:
        while not self._stopped.wait(self.look_seconds) and not self.loop.is_closed():
            try:
                self.look()
            except RuntimeError:
                # The loop was closed meanwhile.
                return

    def _run(self) -> None:
        self._has_run = True

    def _log(self) -> None:
        event, handler, function, code = self._find_code()
        extra = fields(
            event,
            handler=handler,
            function=function,
            code=code,
            seconds=round(self._missed * self.look_seconds, 3),
            at=self._find_place(),
            remedy="put the work into an effect that is a plain function, which has a timeout",
        )
        logger.warning("the event loop is blocked", extra=extra)

    def _find_code(self) -> tuple[Event[Any] | None, str | None, str | None, str | None]:
        """Return the event in hand, its handler, the function and where that is defined."""
        task = asyncio.current_task(self.loop)
        if (taken := self.step.taken) is not None:
            event = taken[1]
            return event, event.to, *describe_function(*taken)
        if task is not None and (running := find_running(task)) is not None:
            return running.event, running.handler, running.call, None
        return None, None, None, None

    def _find_place(self) -> str | None:
        """Return the module and the line that the thread of the loop executes."""
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - the documented way
        return None if frame is None else f"{frame.f_globals.get('__name__')}:{frame.f_lineno}"
