"""Errors: an error of SQLite is temporary, or needs an operator."""

import sqlite3

import pytest

from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.sqlite.connection.errors import translate_error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (None, Unavailable),
        (5, Unavailable),  # SQLITE_BUSY
        (13, Unavailable),  # SQLITE_FULL
        (11, Corrupt),  # SQLITE_CORRUPT
        (26, Corrupt),  # SQLITE_NOTADB
        (267, Corrupt),  # SQLITE_CORRUPT_VTAB: the lowest byte is the primary code
        (261, Unavailable),  # SQLITE_BUSY_RECOVERY
    ],
)
def test_only_damage_is_corrupt(code: int | None, kind: type) -> None:
    """A runtime retries on `Unavailable`, and stops on `Corrupt`."""
    error = sqlite3.DatabaseError("the reason")
    if code is not None:
        error.sqlite_errorcode = code

    translated = translate_error(error)

    assert type(translated) is kind
    assert "the reason" in str(translated)
    assert ("backup" in str(translated)) is (kind is Corrupt)
