"""In place: connections that know whether their file is still the one at its path.

SQLite goes on writing into a file that was deleted or replaced, and acknowledges what the next
process will not find.
"""

import os
import sqlite3
import struct
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from attrs import define, field

from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.process import forked

# Device and inode.
FileId: TypeAlias = tuple[int, int]

# How many connections of this process have each file open, and the descriptors of their indexes of
# the log, which stay open as long (see `is_open_here`).
_OPEN: Final[Counter[FileId]] = Counter()
_INDEXES: Final[dict[FileId, int]] = {}
# SQLite's WAL-index format §1.1: the header and its copy; size of a page, number of frames.
_INDEX_BYTES: Final = 48
_SIZES: Final = struct.Struct("=14xHI")
# SQLite file format §4: the header of the log, and that of each frame.
_LOG_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24


@define
class _Fork:
    """What a fork changes: the lock, which the parent may hold, and the files that it has open."""

    lock: threading.Lock = field(factory=threading.Lock)
    inherited: set[FileId] = field(factory=set)

    def in_child(self) -> None:
        """Begin anew in the child."""
        self.lock = threading.Lock()
        self.inherited |= _OPEN.keys()


_FORK: Final = _Fork()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FORK.in_child)


class FileConnection(sqlite3.Connection):
    """A connection to a file, which `hold` names. *codec*: encodes the contents of the file."""

    codec: Codec | None = None
    _path: str = ""
    _file: FileId | None = None
    _log: FileId | None = None

    def hold(self, path: str) -> None:
        """Remember the file at *path*, which this connection has opened. Call it under `locked`."""
        self._path, self._file = path, file_id(path)
        if self._file is not None:
            _OPEN[self._file] += 1

    def check_in_place(self) -> None:
        """Raise `Corrupt` if the file or its write-ahead log was deleted, moved or replaced.

        While this connection is open, SQLite itself deletes neither.
        """
        if self._log is None:
            # It exists from the first write on, in this mode of the journal.
            self._log = file_id(f"{self._path}-wal")
        if file_id(self._path) != self._file:
            raise Corrupt(_text(self._path, _lost(self._path, "the file")))
        log = f"{self._path}-wal"
        if file_id(log) != self._log:
            raise Corrupt(_text(log, _lost(log, "the write-ahead log")))

    def check_log(self) -> None:
        """Raise `Corrupt` if the write-ahead log is shorter than its index says.

        Call it before a transaction: SQLite would write behind the gap, and the next process that
        opens the file would read the log up to the gap only.
        """
        index = None if self._file is None else _open_index(self._file, self._path)
        if index is None:
            return
        header = os.pread(index, 2 * _INDEX_BYTES, 0)
        if len(header) < 2 * _INDEX_BYTES or header[:_INDEX_BYTES] != header[_INDEX_BYTES:]:
            return  # another process is writing it
        page, frames = _SIZES.unpack_from(header)
        whole = _LOG_HEADER_BYTES + frames * (_FRAME_HEADER_BYTES + (65_536 if page == 1 else page))
        log = f"{self._path}-wal"
        try:
            size = Path(log).stat().st_size
        except OSError:
            return  # `check_in_place` reports it
        # A checkpoint of another process may have emptied it, and the index first.
        if frames and size < whole and os.pread(index, 2 * _INDEX_BYTES, 0) == header:
            raise Corrupt(_text(log, f"the write-ahead log is cut off ({size} bytes of {whole})"))

    def close(self) -> None:
        """Close the connection."""
        super().close()
        with locked():
            if self._file is not None:
                _OPEN[self._file] -= 1
                # Otherwise both would grow with every file.
                if not _OPEN[self._file]:
                    del _OPEN[self._file]
                    if self._file in _INDEXES:
                        os.close(_INDEXES.pop(self._file))
                self._file = None


def codec_of(connection: sqlite3.Connection) -> Codec | None:
    """Return the codec of a connection to a file of ours."""
    return connection.codec if isinstance(connection, FileConnection) else None


def locked() -> threading.Lock:
    """Return the lock under which files are opened, closed and counted."""
    return _FORK.lock


def refuse_inherited(path: str) -> None:
    """Raise `Violated` for a file that the parent had open when this process was forked.

    SQLite believes that this process still holds its parent's locks, and would take none
    (https://sqlite.org/howtocorrupt.html §2.6).
    """
    if file_id(path) in _FORK.inherited:
        raise forked("file", f"forked while its parent used {path}")


def is_open_here(path: str) -> bool:
    """Return True if a connection of this process has the file at *path* open.

    Such a file must not be opened and closed in any other way: on POSIX systems that releases the
    locks by which other processes know of the connection (https://sqlite.org/howtocorrupt.html
    §2.2), and the next process that closes the file deletes the log in use.
    """
    file = file_id(path)
    return file is not None and file in _OPEN


def file_id(path: str) -> FileId | None:
    """Return the identity of the file at *path*, None if there is none."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _open_index(file: FileId, path: str) -> int | None:
    """Return the descriptor of the index of a file's log; None where there is none yet."""
    with locked():
        if file not in _INDEXES and hasattr(os, "pread"):
            with suppress(OSError):
                _INDEXES[file] = os.open(f"{path}-shm", os.O_RDONLY)
        return _INDEXES.get(file)


def _lost(path: str, name: str) -> str:
    return f"{name} is gone" if file_id(path) is None else f"{name} was replaced"


def _text(path: str, fault: str) -> str:
    remedy = "stop every process that uses it, restore it with its -wal file, and start them again"
    return f"{path}: {fault}, and nothing more is written: {remedy}"
