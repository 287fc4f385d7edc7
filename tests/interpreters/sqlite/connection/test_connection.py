"""Connection: a file is checked before it is written to."""

import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path

import pytest

from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.sqlite.connection import connection as module
from arvo.interpreters.sqlite.connection.connection import open_file, open_reader
from arvo.interpreters.sqlite.connection.migrations import APPLICATION_ID, SCHEMA_VERSION, upgrade


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"pragma {name}").fetchone()[0]


@pytest.mark.parametrize(("full_sync", "level"), [(True, 2), (False, 1)])
def test_full_sync_decides_whether_a_commit_survives_a_power_failure(
    tmp_path: Path, full_sync: bool, level: int
) -> None:
    """Without it, it survives the end of the process only."""
    with closing(open_file(str(tmp_path / "a.db"), full_sync=full_sync)) as connection:
        settings = [
            pragma(connection, name)
            for name in ("synchronous", "journal_mode", "foreign_keys", "busy_timeout")
        ]
        # A write outside of a transaction must not begin one by itself.
        connection.execute("insert into inbox (digest, at) values ('a', 0)")

        assert settings == [level, "wal", 1, 10_000]
        assert not connection.in_transaction


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """One thread writes."""
    path = str(tmp_path / "a b?.db")
    with (
        closing(open_file(path, full_sync=False)),
        closing(open_reader(path)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("insert into inbox (digest, at) values ('a', 0)")
    assert [file.name for file in tmp_path.glob("*.db")] == ["a b?.db"]


@pytest.mark.parametrize("page", [512, 32_768, 65_536])
def test_a_file_that_is_cut_off_is_recognised_by_its_header(tmp_path: Path, page: int) -> None:
    """With any page size; SQLite itself notices only when it needs a page that is missing."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma page_size = {page}")
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute("create table mine (id integer)")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])

    with pytest.raises(Corrupt) as corrupt:
        open_file(str(path), full_sync=False)

    assert f"is cut off: {len(whole) - 1} bytes of {len(whole)}: restore it" in str(corrupt.value)


@pytest.mark.parametrize("has_log", [[True, True], [True, False], [False, True]])
def test_a_file_in_the_middle_of_a_checkpoint_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_log: list[bool]
) -> None:
    """SIGKILL between two pages of a checkpoint leaves a header that is newer than the file, and
    SQLite recovers from the log. The same holds while another process runs a checkpoint, whose log
    may appear or vanish during the check.
    """
    path, killed = tmp_path / "a.db", tmp_path / "killed.db"
    with closing(open_file(str(path), full_sync=False)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("insert into inbox (digest, at) values (randomblob(200000), 0)")
        before, log = path.read_bytes(), path.with_name("a.db-wal").read_bytes()
        connection.execute("pragma wal_checkpoint(truncate)")
        after = path.read_bytes()
    assert len(after) > len(before)
    (page,) = struct.unpack(">H", after[16:18])
    killed.write_bytes(after[:page] + before[page:])
    killed.with_name("killed.db-wal").write_bytes(log)

    answers = iter(has_log)
    monkeypatch.setattr(module, "_has_log", lambda _: next(answers))
    with closing(open_file(str(killed), full_sync=False)) as connection:
        assert connection.execute("select length(digest) from inbox").fetchall() == [(200_000,)]
        assert pragma(connection, "integrity_check") == "ok"


def test_a_file_that_another_process_is_creating_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes start at once: the tables appear between two queries of the check."""
    path = str(tmp_path / "a.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        others = [connection]

        def connect(path: str, mode: str) -> sqlite3.Connection:
            made = real_connect(path, mode)
            made.set_trace_callback(create_tables)
            return made

        def create_tables(statement: str) -> None:
            if statement == "pragma user_version" and others:
                upgrade(others.pop(), path)

        real_connect = module._connect
        monkeypatch.setattr(module, "_connect", connect)

        open_file(path, full_sync=False).close()
        assert not others


def test_a_file_that_another_process_makes_at_the_same_time_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would say at once that the database is locked, and a worker would not start."""
    path = str(tmp_path / "a.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin")
        other.execute("select * from sqlite_schema")
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                other.rollback()

        def connect(path: str, mode: str) -> sqlite3.Connection:
            made = real_connect(path, mode)
            # SQLite waits for a reader, but not for another one that makes the file.
            made.execute("pragma busy_timeout = 0")
            return made

        real_connect = module._connect
        monkeypatch.setattr(module, "_connect", connect)
        monkeypatch.setattr(time, "sleep", sleep)

        open_file(path, full_sync=False).close()

    assert waits == [module.BUSY_POLL_SECONDS] * 3


def test_a_file_that_stays_locked_is_unavailable_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program may hold it for ever."""
    path = str(tmp_path / "a.db")
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin")
        other.execute("select * from sqlite_schema")

        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            open_file(path, full_sync=False)


@pytest.mark.parametrize(
    "statement",
    ["create table mine (id integer)", "pragma application_id = 5", "pragma user_version = 1"],
)
def test_a_file_of_another_program_is_refused(tmp_path: Path, statement: str) -> None:
    """By any sign of it; and no transaction stays open."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
        with pytest.raises(Corrupt) as corrupt:
            upgrade(connection, str(path))
        assert not connection.in_transaction

    assert "holds the tables of another program: name another file" in str(corrupt.value)


def test_a_file_of_this_version_is_not_changed(tmp_path: Path) -> None:
    """Other processes poll the file after every write."""
    path = str(tmp_path / "a.db")
    with closing(open_file(path, full_sync=False)) as connection:
        before = pragma(connection, "data_version")
        open_file(path, full_sync=False).close()

        assert pragma(connection, "data_version") == before
        assert pragma(connection, "user_version") == SCHEMA_VERSION
