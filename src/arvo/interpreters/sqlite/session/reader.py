"""Reader: reads a SQLite file in threads of its own, concurrently with the writer."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, final

from attrs import define, field

from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.sqlite.connection.connection import open_reader
from arvo.interpreters.sqlite.connection.errors import translate_error

T = TypeVar("T")

# Reads at the same time where one may wait for a blob; without blobs one thread is the fastest.
THREADS_MAX: Final = 8


@final
@define(eq=False)
class Reader:
    """A read-only connection for each thread to the file at *path*, which exists. The first read
    opens it.
    """

    path: str
    codec: Codec | None = None
    _thread: ThreadPoolExecutor = field(init=False)
    _own: threading.local = field(factory=threading.local, init=False)
    _connections: list[sqlite3.Connection] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        # The executor starts a thread with the first read.
        number = THREADS_MAX if isinstance(self.codec, Offloaded) else 1
        self._thread = ThreadPoolExecutor(number, "arvo sqlite reader")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call *work* with the connection; raises `Unavailable` or `Corrupt`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    def close(self) -> None:
        """Close the connections after the reads that have begun."""
        self._thread.shutdown()
        for connection in self._connections:
            connection.close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
            if connection is None:
                connection = self._own.connection = open_reader(self.path, self.codec)
                self._connections.append(connection)
            return work(connection)
        except sqlite3.Error as error:
            raise translate_error(error) from error
