"""Threads: a bounded pool of threads for the plain functions of one handler or listener."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple, cast, final

from attrs import define, field

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.queues import wait_for_wake, wake_one
from arvo.interpreters.ports.errors import Unavailable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
# What a function returned, and the exception that it raised.
_Outcome: TypeAlias = tuple[Any, BaseException | None]

logger: Final = get_logger("calls")

# Threads for each delivery that a handler or listener processes at the same time: a call that hangs
# leaves its delivery a second thread for the next attempt.
THREADS_PER_DELIVERY: Final = 2
# The shortest delay before an event is tried again that found every thread hung.
HUNG_SECONDS: Final = 1.0
# Hung calls that one log line or error names.
NAMED_MAX: Final = 3


class ThreadsExhausted(Unavailable):
    """Abandoned calls occupy every thread of a pool; a later call may find one free."""


@define(eq=False)
class _Call:
    """One call that a thread runs. *is_abandoned*: its caller no longer waits for it."""

    function: Callable[[], Any]
    text: str
    context: Context
    outcome: "asyncio.Future[_Outcome]"
    began: float = field(factory=time.monotonic)
    is_abandoned: bool = False

    def __str__(self) -> str:
        return f"{self.text} for {time.monotonic() - self.began:.0f} s"


@final
@define(eq=False)
class ThreadPool:
    """Calls plain functions in at most *size* threads, which start as they are needed.

    *name*: the handler or listener whose functions it calls. A caller that stops waiting (after a
    timeout, or because it is cancelled) abandons its call. Python cannot stop a thread, so the call
    occupies its thread until it returns, and its result is dropped. While calls that are abandoned
    occupy all threads, `run` raises `ThreadsExhausted` at once.

    The threads are daemons: a call that never returns does not keep the process alive. For use in
    one event loop.
    """

    name: str
    size: int
    _queue: "SimpleQueue[_Call | None]" = field(factory=SimpleQueue, init=False)
    _calls: set[_Call] = field(factory=set, init=False)
    # Threads that wait for a call.
    _idle: int = field(default=0, init=False)
    _is_closed: bool = field(default=False, init=False)
    _waiters: deque["asyncio.Future[None]"] = field(factory=deque, init=False)

    async def run(self, function: Callable[[*Ts], T], *args: *Ts, text: str) -> T:
        """Call a function in a thread and return its result, or raise its exception.

        *text* describes the call in logs. Waits while all threads are busy. The function sees the
        context variables of the caller.
        """
        self._is_closed = False
        while len(self._calls) >= self.size:
            self._check_hung()
            await wait_for_wake(self._waiters)
        outcome: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        call = _Call(lambda: function(*args), text, copy_context(), outcome)
        self._calls.add(call)
        self._start(call)
        try:
            value, error = await outcome
        finally:
            if call in self._calls:
                self._abandon(call)
        if error is not None:
            raise error
        return cast("T", value)

    def close(self) -> None:
        """End the threads that are idle, and log the calls that have not returned.

        Their threads end when they return, or with the process. The pool may be used again.
        """
        self._is_closed = True
        for _ in range(self._idle):
            self._queue.put(None)
        self._idle = 0
        if self._calls:
            extra = fields(pool=self.name, number=len(self._calls), calls=self._named())
            logger.warning("calls have not returned at the end", extra=extra)

    def _start(self, call: _Call) -> None:
        """Pass a call to a thread that is idle, or to a new one."""
        if self._idle:
            self._idle -= 1
        else:
            # Not a `ThreadPoolExecutor`: the interpreter waits for its threads before it exits.
            threading.Thread(
                target=_serve, args=(self._queue, self._end), name=f"arvo {self.name}", daemon=True
            ).start()
        self._queue.put(call)

    def _abandon(self, call: _Call) -> None:
        call.is_abandoned = True
        extra = fields(pool=self.name, threads=self.size, call=call)
        logger.warning("a call was abandoned and occupies a thread until it returns", extra=extra)
        # Those that wait for a thread learn that all are hung.
        for _ in range(len(self._waiters)):
            wake_one(self._waiters)

    def _end(self, call: _Call, outcome: _Outcome) -> None:
        """Resolve a call that has returned, in the event loop; its thread is idle."""
        self._calls.discard(call)
        if self._is_closed:
            self._queue.put(None)
        else:
            self._idle += 1
        if call.is_abandoned:
            extra = fields(pool=self.name, call=call)
            logger.info("a call returned after it was abandoned", extra=extra)
        if not call.outcome.done():
            call.outcome.set_result(outcome)
        wake_one(self._waiters)

    def _check_hung(self) -> None:
        """Raise `ThreadsExhausted` if every call is abandoned: the wait may never end."""
        if all(call.is_abandoned for call in self._calls):
            text = f"all {self.size} threads of {self.name} run calls that have not returned"
            raise ThreadsExhausted(f"{text}: {self._named()}", after=HUNG_SECONDS)

    def _named(self) -> str:
        calls = sorted(self._calls, key=lambda call: call.began)
        more = f" and {len(calls) - NAMED_MAX} more" if len(calls) > NAMED_MAX else ""
        return ", ".join(map(str, calls[:NAMED_MAX])) + more


def _serve(queue: "SimpleQueue[_Call | None]", end: Callable[[_Call, _Outcome], None]) -> None:
    """Run the calls of a queue, one by one, in a thread of their own, until the queue has None."""
    while (call := queue.get()) is not None:
        try:
            call.outcome.get_loop().call_soon_threadsafe(end, call, _run(call))
        except RuntimeError:
            # The loop is closed, and no caller will come.
            return
        # The last call must not be held while the thread waits for the next one.
        del call


def _run(call: _Call) -> _Outcome:
    # Not as the exception of the future: asyncio throws that into the coroutine, and a coroutine
    # that gets GeneratorExit in this way is closed.
    try:
        return call.context.run(call.function), None
    except BaseException as error:  # noqa: BLE001 - the caller decides what it means
        return None, error
