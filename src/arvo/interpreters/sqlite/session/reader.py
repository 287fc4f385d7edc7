"""Reader: reads a SQLite file in a thread of its own, concurrently with the writer."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, final

from attrs import define, field

from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.sqlite.connection.connection import open_reader
from arvo.interpreters.sqlite.connection.errors import translate_error

T = TypeVar("T")


@final
@define(eq=False)
class Reader:
    """One read-only connection to the file at *path*, which exists. The first read opens it."""

    path: str
    codec: Codec | None = None
    _thread: ThreadPoolExecutor = field(init=False)
    _connection: sqlite3.Connection | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        # The executor starts its thread with the first read.
        self._thread = ThreadPoolExecutor(1, "arvo sqlite reader")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call *work* with the connection; raises `Unavailable` or `Corrupt`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    def close(self) -> None:
        """Close the connection after the reads that have begun."""
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = open_reader(self.path, self.codec)
            return work(self._connection)
        except sqlite3.Error as error:
            raise translate_error(error) from error
