"""Errors: the exceptions of SQLite, translated to the exceptions of the ports."""

import sqlite3
from typing import Final

from arvo.interpreters.ports.errors import Corrupt, Unavailable

# SQLITE_CORRUPT and SQLITE_NOTADB: waiting does not help.
_DAMAGED: Final = frozenset({11, 26})


def translate_error(error: sqlite3.Error) -> Unavailable | Corrupt:
    """Return `Corrupt` for a damaged or foreign file, `Unavailable` for any other error."""
    code = getattr(error, "sqlite_errorcode", None)
    # The lowest byte of an extended result code is the primary one.
    if code is not None and code & 0xFF in _DAMAGED:
        remedy = "restore it from a backup, or move it away; nothing was written to it"
        return Corrupt(f"the file is damaged, or not a file of arvo ({error}): {remedy}")
    return Unavailable(f"SQLite: {error}")
