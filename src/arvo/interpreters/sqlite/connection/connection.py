"""Connection: opens a SQLite file after checking that it is ours and complete."""

import sqlite3
import struct
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.sqlite.connection.in_place import (
    FileConnection,
    is_open_here,
    locked,
    refuse_inherited,
)
from arvo.interpreters.sqlite.connection.migrations import check, upgrade

# How long a transaction waits for another process that holds the file.
BUSY_SECONDS: Final = 10.0
BUSY_POLL_SECONDS: Final = 0.01
_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100


def open_file(path: str, *, full_sync: bool, codec: Codec | None = None) -> FileConnection:
    """Open a file for writing, and create or upgrade its tables.

    Raises `Unavailable` where the folder does not exist. Raises `Corrupt`, and does not change the
    file, where it is damaged or belongs to another program.
    """
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise Unavailable(f"the folder {folder} does not exist: make it, or name another file")
    refuse_inherited(path)
    installed_version(path)
    connection = _connect(path, "rwc")
    connection.codec = codec
    try:
        _write_ahead(connection)
        connection.execute(f"pragma synchronous = {'full' if full_sync else 'normal'}")
        connection.execute("pragma foreign_keys = on")
        upgrade(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: str, codec: Codec | None = None) -> FileConnection:
    """Open an existing file of ours for reading only."""
    connection = _connect(path, "ro")
    connection.codec = codec
    return connection


def _connect(path: str, mode: str) -> FileConnection:
    uri = f"file:{quote(str(Path(path).absolute()))}?mode={mode}"
    # No isolation level: transactions begin and end by explicit statements. Another thread than
    # the one that opens a connection may use it, one at a time.
    with locked():
        connection = sqlite3.connect(
            uri,
            uri=True,  # pragma: no mutate - some builds of SQLite read a URI by default
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=FileConnection,
        )
        connection.hold(path)
    return connection


def _write_ahead(connection: FileConnection) -> None:
    """Let the file have a log.

    SQLite refuses this at once, without its own wait, while another process opens a new file, too.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_POLL_SECONDS)
        else:
            return


def installed_version(path: str) -> int:
    """Return the version of the tables in a file, 0 where there are none; write nothing.

    Raises `Corrupt` where the file is not a complete database of ours.
    """
    file = Path(path)
    if not file.exists() or not file.stat().st_size:
        return 0
    with locked():
        # A file that is open here was checked before.
        if not is_open_here(path):
            _check_header(path)
    connection = _connect(path, "ro")
    try:
        # One snapshot for all queries: another process may be creating the tables now.
        connection.execute("begin")
        return check(connection, path)
    finally:
        connection.close()


def _check_header(path: str) -> None:
    """Raise `Corrupt` where the header is not SQLite's, or names more pages than there are."""
    file = Path(path)
    # A checkpoint writes the header first. While one runs, or after it was killed, the header is
    # newer than the rest of the file, and SQLite recovers the rest from the log.
    had_log = _has_log(path)
    with file.open("rb") as opened:
        header = opened.read(_HEADER_BYTES)
    remedy = "restore it from a backup, or name another file; nothing was written to it"
    if not header.startswith(_MAGIC):
        raise Corrupt(f"{path} is no SQLite database: {remedy}")
    if len(header) == _HEADER_BYTES:
        # SQLite file format, section 1.3: page size, change counter, database size in pages, and
        # the change counter for which that size is valid.
        (page,) = struct.unpack(">H", header[16:18])
        changes, pages = struct.unpack(">II", header[24:32])
        (valid_for,) = struct.unpack(">I", header[92:96])
        whole = pages * (65_536 if page == 1 else page)
        size = file.stat().st_size
        if changes == valid_for and size < whole and not (had_log or _has_log(path)):
            raise Corrupt(f"{path} is cut off: {size} bytes of {whole}: {remedy}")


def _has_log(path: str) -> bool:
    """Return True if the file has a write-ahead log, which may hold pages that it lacks."""
    return Path(f"{path}-wal").exists()
