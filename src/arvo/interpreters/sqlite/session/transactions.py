"""Transactions: a group of writes in one transaction, where each can fail by itself."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, final

from attrs import define

from arvo.interpreters.sqlite.connection.errors import translate_error


@final
@define(eq=False)
class Write:
    """One write: its *work*, the *future* of its caller, and its *value* or *error* when done."""

    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    on_done: Callable[[Any], None] | None = None
    value: Any = None
    error: BaseException | None = None


def run_group(connection: sqlite3.Connection, group: list[Write]) -> None:
    """Run a group in one transaction, and set the value or the error of each write.

    Where the work of one write raises, the group runs again, each in a savepoint, so that only this
    one is rolled back. That is rare, and savepoints for every group would cost a tenth of the time.
    """
    try:
        try:
            connection.execute("begin immediate")
            for write in group:
                write.value = write.work(connection)
            connection.execute("commit")
        except sqlite3.Error:
            raise
        except Exception:  # noqa: BLE001 - the second run finds the write that raised it
            connection.execute("rollback")
            _run_separately(connection, group)
    except sqlite3.Error as error:
        roll_back(connection)
        for write in group:
            write.error = translate_error(error)


def _run_separately(connection: sqlite3.Connection, group: list[Write]) -> None:
    connection.execute("begin immediate")
    for write in group:
        connection.execute("savepoint one_write")
        try:
            write.value = write.work(connection)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - passed on to the caller of this write
            write.error = error
            connection.execute("rollback to one_write")
        connection.execute("release one_write")
    connection.execute("commit")


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that may be open, without its changes."""
    if connection.in_transaction:
        try:
            connection.execute("rollback")
        except sqlite3.Error:
            # SQLite has rolled back by itself, as it does when the disk is full.
            return
