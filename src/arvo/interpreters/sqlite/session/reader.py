"""Reader: reads a SQLite file beside its writer, in a thread of its own."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, final

from attrs import define, field

from arvo.interpreters.sqlite.connection.connection import open_reader
from arvo.interpreters.sqlite.session.writer import told

T = TypeVar("T")


@final
@define(eq=False)
class Reader:
    """One connection to the file at *path*, which is there; opened with the first look."""

    path: str
    _thread: ThreadPoolExecutor = field(init=False)
    _connection: sqlite3.Connection | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        # The thread is made with the first look as well.
        self._thread = ThreadPoolExecutor(1, "arvo sqlite reader")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Look into the file; raises `Unavailable` or `Corrupt`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    def close(self) -> None:
        """Let go of the file, when what is being read is read."""
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = open_reader(self.path)
            return work(self._connection)
        except sqlite3.Error as error:
            raise told(error) from error
