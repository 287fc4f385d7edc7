"""Fixtures: a connection to a new file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from arvo.interpreters.sqlite.connection.connection import open_file


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_file(str(tmp_path / "a.db"), full_sync=False)) as opened:
        yield opened
