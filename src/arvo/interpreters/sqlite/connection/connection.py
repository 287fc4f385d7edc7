"""Open: a connection to a SQLite file of ours, after a look at what it is."""

import sqlite3
import struct
from pathlib import Path
from typing import Final
from urllib.parse import quote

from arvo.interpreters.ports.backend import Corrupt, Unavailable
from arvo.interpreters.sqlite.connection.migrations import check, upgrade

# Seconds that another process may hold the file before a unit is told to wait.
BUSY_SECONDS: Final = 10.0
_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100


def open_file(path: str, *, full_sync: bool) -> sqlite3.Connection:
    """Open a file for writing, and make or upgrade its tables.

    Raises `Corrupt`, and leaves the file as it is, where it is damaged or somebody else's.
    """
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise Unavailable(f"the folder {folder} does not exist: make it, or name another file")
    _look(path)
    connection = _connect(path, "rwc")
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {'full' if full_sync else 'normal'}")
        connection.execute("pragma foreign_keys = on")
        upgrade(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: str) -> sqlite3.Connection:
    """Open a file that is ours for reading beside its writer."""
    return _connect(path, "ro")


def _connect(path: str, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(Path(path).absolute()))}?mode={mode}"
    # Transactions are begun and ended by hand; the thread that works on it is not this one.
    return sqlite3.connect(
        uri,
        uri=True,  # pragma: no mutate - some builds of SQLite read a URI unasked
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _look(path: str) -> None:
    """Refuse a file that is no whole database of ours, without a write."""
    file = Path(path)
    if not file.exists() or not file.stat().st_size:
        return
    # Whoever moves pages from the log to the file, or was killed at it, begins with the header.
    was_logged = _is_logged(path)
    with file.open("rb") as opened:
        header = opened.read(_HEADER_BYTES)
    remedy = "restore it from a backup, or name another file; nothing was written to it"
    if not header.startswith(_MAGIC):
        raise Corrupt(f"{path} is no SQLite database: {remedy}")
    if len(header) == _HEADER_BYTES:
        # SQLite file format §1.3: page size, change counter, size in pages, and what that is for.
        (page,) = struct.unpack(">H", header[16:18])
        changes, pages = struct.unpack(">II", header[24:32])
        (valid_for,) = struct.unpack(">I", header[92:96])
        whole = pages * (65_536 if page == 1 else page)
        size = file.stat().st_size
        if changes == valid_for and size < whole and not (was_logged or _is_logged(path)):
            raise Corrupt(f"{path} is cut off: {size} bytes of {whole}: {remedy}")
    connection = _connect(path, "ro")
    try:
        # All of it as it was at one moment: another process may be making the tables now.
        connection.execute("begin")
        check(connection, path)
    finally:
        connection.close()


def _is_logged(path: str) -> bool:
    """Tell whether a write-ahead log lies beside a file, which may hold what the file has not."""
    return Path(f"{path}-wal").exists()
