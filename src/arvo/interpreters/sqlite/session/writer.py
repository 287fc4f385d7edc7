"""Writer: one thread that writes to a SQLite file, with many writes in one transaction."""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Final, TypeAlias, TypeVar, final

from attrs import define, field

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.sqlite.connection.errors import translate_error
from arvo.interpreters.sqlite.connection.in_place import FileConnection
from arvo.interpreters.sqlite.session.transactions import Write, roll_back, run_group

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], Any]

logger: Final = get_logger("sqlite")

# Writes in one transaction: more save nothing, and delay the first of them.
GROUP_MAX: Final = 256


@final
@define(eq=False)
class Writer:
    """Runs writes on a connection of its own, in the order in which they arrive.

    Writes that arrive while a transaction is being committed share the next one. A write that
    raises is rolled back alone. *open* makes the connection. *tick* is called every *seconds* in
    the thread, however busy the writer is, and when *seconds_to_due* reaches zero.

    After each transaction and each tick it checks that the file is still in place and undamaged. If
    not, the transaction is not acknowledged, the thread ends, every later write raises the same
    `Corrupt`, and *on_failure* is called with it in the event loop.
    """

    open: Callable[[], FileConnection]
    tick: Work
    seconds: float
    on_failure: Callable[[Corrupt], None] = lambda _: None
    seconds_to_due: Callable[[], float] = lambda: inf
    _writes: "queue.SimpleQueue[Write | None]" = field(factory=queue.SimpleQueue, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _is_closed: bool = field(default=False, init=False)
    _failure: Corrupt | None = field(default=None, init=False)

    async def start(self) -> None:
        """Start the thread, which opens the file; raises the error of *open*."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        # A daemon: a process that ends without closing loses nothing, and must not hang.
        self._thread = threading.Thread(
            target=self._run, args=(loop, opened), name="arvo sqlite", daemon=True
        )
        self._thread.start()
        try:
            await opened
        except BaseException:
            # Cancelled, or not opened. A thread that still opens the file closes it at once.
            self._writes.put(None)
            raise

    async def write(
        self, work: Callable[[sqlite3.Connection], T], on_done: Callable[[T], None] | None = None
    ) -> T:
        """Run *work* in a transaction, and return its value when the transaction is durable.

        *on_done* is called with the value in the event loop, also where the caller was cancelled:
        other tasks depend on the changes of a cancelled one.

        Raises `Unavailable`, `Corrupt`, or the error of *work*.
        """
        self.check_failure()
        if self._is_closed:
            raise Unavailable("the file is closed here: open it again")
        loop = asyncio.get_running_loop()
        write = Write(work, loop, loop.create_future(), on_done)
        self._writes.put(write)
        value: T = await write.future
        return value

    def check_failure(self) -> None:
        """Raise the `Corrupt` that ended the thread, if one did."""
        if self._failure is not None:
            # A new exception for each caller, because each adds its traceback.
            raise Corrupt(*self._failure.args) from self._failure

    async def stop(self) -> None:
        """Finish the writes that have arrived, and close the file."""
        if self._thread is not None:
            self._writes.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, opened: "asyncio.Future[None]") -> None:
        try:
            connection = self.open()
        except Exception as error:  # noqa: BLE001 - passed on to the caller of `start`
            _call(loop, partial(_resolve, opened, error))
            return
        try:
            _call(loop, partial(_resolve, opened, None))
            self._run_groups(connection)
        except Corrupt as error:
            self._failure = error
            logger.critical("the backend stops", extra=fields(reason=error))
            _call(loop, partial(self.on_failure, error))
        finally:
            # However the thread ends, no caller may wait for a write that will not happen.
            self._is_closed = True
            connection.close()
            self._refuse_rest()

    def _run_groups(self, connection: FileConnection) -> None:
        next_tick = time.monotonic() + self.seconds
        is_open = True
        while is_open:
            wait = min(next_tick - time.monotonic(), self.seconds_to_due())
            group, is_open = self._next_group(wait)
            if group:
                self._run_checked(connection, group)
                _resolve_group(group)
            if time.monotonic() >= next_tick or self.seconds_to_due() <= 0:
                self._tick(connection)
                next_tick = time.monotonic() + self.seconds

    def _run_checked(self, connection: FileConnection, group: list[Write]) -> None:
        """Run a group; raise `Corrupt`, and fail its writes, if the file is not as it should be."""
        try:
            connection.check_log()
            run_group(connection, group)
            connection.check_in_place()
        except Corrupt as error:
            for write in group:
                write.error = error
            _resolve_group(group)
            raise

    def _next_group(self, timeout: float) -> tuple[list[Write], bool]:
        """Wait for a write, and take those that have arrived with it; False after the last one."""
        group: list[Write] = []
        try:
            write = self._writes.get(timeout=max(0.0, timeout))
            while write is not None:
                group.append(write)
                if len(group) >= GROUP_MAX:
                    break
                write = self._writes.get_nowait()
            else:
                return group, False
        except queue.Empty:
            pass
        return group, True

    def _tick(self, connection: FileConnection) -> None:
        connection.check_in_place()
        connection.check_log()
        try:
            self.tick(connection)
        except sqlite3.Error as error:
            roll_back(connection)
            translated = translate_error(error)
            if isinstance(translated, Corrupt):
                raise translated from error
            # Not logged: the next tick tries again, and a write reports the same error.
        except Exception:
            # A bug. The thread goes on, for without it no write would be done.
            roll_back(connection)
            logger.exception("the maintenance failed")

    def _refuse_rest(self) -> None:
        rest: list[Write] = []
        with suppress(queue.Empty):
            while True:
                write = self._writes.get_nowait()
                if write is not None:
                    closed = Unavailable("the file was closed before this was written")
                    write.error = self._failure or closed
                    rest.append(write)
        _resolve_group(rest)


def _resolve_group(group: list[Write]) -> None:
    """Wake the callers of a group, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Write]] = {}
    for write in group:
        by_loop.setdefault(write.loop, []).append(write)
    for loop, writes in by_loop.items():
        _call(loop, partial(_resolve_writes, writes))


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed, and with it every caller is gone
        loop.call_soon_threadsafe(function)


def _resolve(future: "asyncio.Future[None]", error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _resolve_writes(writes: list[Write]) -> None:
    for write in writes:
        if write.error is None and write.on_done is not None:
            try:
                write.on_done(write.value)
            except Exception as error:
                # A bug. It goes to the caller of this write, and the others are woken as well.
                logger.exception("a callback failed")
                write.error = error
        if write.future.cancelled():
            continue
        if write.error is not None:
            write.future.set_exception(write.error)
        else:
            write.future.set_result(write.value)
