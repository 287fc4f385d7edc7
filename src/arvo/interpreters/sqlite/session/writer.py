"""Writer: one thread that writes to a SQLite file, many units in one transaction."""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar, final

from attrs import define, field

from arvo.interpreters.ports.backend import Corrupt, Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

logger: Final = logging.getLogger("arvo")

# Units of work in one transaction: more gain nothing, and make the first of them wait.
GROUP_MAX: Final = 256

# What no waiting mends: SQLITE_CORRUPT, SQLITE_NOTADB.
_BROKEN: Final = frozenset({11, 26})


@final
@define(eq=False)
class _Unit:
    work: Work
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    then: Callable[[Any], None] | None = None
    value: Any = None
    error: BaseException | None = None


@final
@define(eq=False)
class Writer:
    """Does units of work on a connection of its own, in the order they come.

    Units that wait while one transaction is written to the disk go into the next together; one that
    raises is undone alone. A unit is done when its transaction is durable. *open* makes the
    connection; *tick* is called every *seconds*, in the thread, whatever else happens there.
    """

    open: Callable[[], sqlite3.Connection]
    tick: Work
    seconds: float
    _units: "queue.SimpleQueue[_Unit | None]" = field(factory=queue.SimpleQueue, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    async def start(self) -> None:
        """Open the file; raises `Unavailable` or `Corrupt` where that cannot be."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        # A daemon: a process that dies without closing loses nothing, and should not hang.
        self._thread = threading.Thread(
            target=self._run, args=(loop, opened), name="arvo sqlite", daemon=True
        )
        self._thread.start()
        await opened

    async def do(
        self, work: Callable[[sqlite3.Connection], T], then: Callable[[T], None] | None = None
    ) -> T:
        """Do a unit of work; returns when it is durable.

        *then* is called with its value in the event loop, also where nobody waits any more: a task
        that is cancelled meanwhile must not keep others from what its unit has done.
        """
        if self._ended:
            raise Unavailable("the file is closed here: open it again")
        loop = asyncio.get_running_loop()
        unit = _Unit(work, loop, loop.create_future(), then)
        self._units.put(unit)
        value: T = await unit.future
        return value

    async def stop(self) -> None:
        """Finish what waits, and close the file."""
        if self._thread is not None:
            self._units.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, opened: "asyncio.Future[None]") -> None:
        try:
            connection = self.open()
        except Exception as error:  # noqa: BLE001 - whoever waits for the file must hear of it
            _call(loop, partial(_resolve, opened, error))
            return
        _call(loop, partial(_resolve, opened, None))
        try:
            self._work(connection)
        finally:
            # Whatever ends the thread: nobody may wait for it any more.
            self._ended = True
            connection.close()
            self._refuse_rest()

    def _work(self, connection: sqlite3.Connection) -> None:
        due = time.monotonic() + self.seconds
        going = True
        while going:
            group, going = self._group(due - time.monotonic())
            if group:
                _write(connection, group)
                _settle(group)
            if time.monotonic() >= due:
                self._tick(connection)
                due = time.monotonic() + self.seconds

    def _refuse_rest(self) -> None:
        left: list[_Unit] = []
        with suppress(queue.Empty):
            while True:
                unit = self._units.get_nowait()
                if unit is not None:
                    unit.error = Unavailable("the file was closed before this was written")
                    left.append(unit)
        _settle(left)

    def _group(self, timeout: float) -> tuple[list[_Unit], bool]:
        """Wait for a unit, and take those that came meanwhile; False: there will be no more."""
        group: list[_Unit] = []
        try:
            unit = self._units.get(timeout=max(0.0, timeout))
            while unit is not None:
                group.append(unit)
                if len(group) >= GROUP_MAX:
                    break
                unit = self._units.get_nowait()
            else:
                return group, False
        except queue.Empty:
            pass
        return group, True

    def _tick(self, connection: sqlite3.Connection) -> None:
        try:
            self.tick(connection)
        except sqlite3.Error:
            # Told to nobody: the next tick tries again, and whoever writes hears of it.
            _undo(connection)
        except Exception:
            # A bug of ours; without this thread nothing would be written any more.
            _undo(connection)
            logger.exception("the SQLite backend could not look for what is due")


def _write(connection: sqlite3.Connection, group: list[_Unit]) -> None:
    """Do a group in one transaction: all of it is durable, or nothing.

    A unit that raises is undone alone: the others are done once more, each in a savepoint. That is
    rare, and savepoints for all would cost a tenth of the time.
    """
    try:
        try:
            connection.execute("begin immediate")
            for unit in group:
                unit.value = unit.work(connection)
            connection.execute("commit")
        except sqlite3.Error:
            raise
        except Exception:  # noqa: BLE001 - whose it was shows the second time
            connection.execute("rollback")
            _write_each(connection, group)
    except sqlite3.Error as error:
        _undo(connection)
        for unit in group:
            unit.error = told(error)


def _write_each(connection: sqlite3.Connection, group: list[_Unit]) -> None:
    connection.execute("begin immediate")
    for unit in group:
        connection.execute("savepoint unit")
        try:
            unit.value = unit.work(connection)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the unit
            unit.error = error
            connection.execute("rollback to unit")
        connection.execute("release unit")
    connection.execute("commit")


def _undo(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("rollback")
        except sqlite3.Error:
            # SQLite has rolled back by itself, as it does when the disk is full.
            return


def _settle(group: list[_Unit]) -> None:
    """Wake all who wait for a group, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Unit]] = {}
    for unit in group:
        by_loop.setdefault(unit.loop, []).append(unit)
    for loop, units in by_loop.items():
        _call(loop, partial(_wake, units))


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(function)


def _resolve(future: "asyncio.Future[None]", error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _wake(units: list[_Unit]) -> None:
    for unit in units:
        if unit.error is None and unit.then is not None:
            unit.then(unit.value)
        if unit.future.cancelled():
            continue
        if unit.error is not None:
            unit.future.set_exception(unit.error)
        else:
            unit.future.set_result(unit.value)


def told(error: sqlite3.Error) -> Unavailable | Corrupt:
    """Say SQLite's errors in our words: wait, or call a person."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _BROKEN:
        remedy = "restore it from a backup, or move it away; nothing was written to it"
        return Corrupt(f"the file is damaged, or no file of arvo's ({error}): {remedy}")
    return Unavailable(f"SQLite: {error}")
