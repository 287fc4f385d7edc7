"""Open: a file is looked at before it is written to."""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from arvo.interpreters.ports.backend import Corrupt
from arvo.interpreters.sqlite.connection import connection as module
from arvo.interpreters.sqlite.connection.connection import open_file, open_reader
from arvo.interpreters.sqlite.connection.migrations import APPLICATION_ID, SCHEMA_VERSION, upgrade


def asked(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"pragma {name}").fetchone()[0]


@pytest.mark.parametrize(("full_sync", "level"), [(True, 2), (False, 1)])
def test_a_commit_survives_what_it_is_said_to_survive(
    tmp_path: Path, full_sync: bool, level: int
) -> None:
    """The loss of power, or that of the process; and another process may hold the file a while."""
    with closing(open_file(str(tmp_path / "a.db"), full_sync=full_sync)) as connection:
        found = [
            asked(connection, name)
            for name in ("synchronous", "journal_mode", "foreign_keys", "busy_timeout")
        ]
        # Else a transaction would be open before we have begun one.
        connection.execute("insert into inbox (digest, at) values ('a', 0)")

        assert found == [level, "wal", 1, 10_000]
        assert not connection.in_transaction


def test_who_reads_cannot_write(tmp_path: Path) -> None:
    """One thread writes."""
    path = str(tmp_path / "a b?.db")
    with (
        closing(open_file(path, full_sync=False)),
        closing(open_reader(path)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("insert into inbox (digest, at) values ('a', 0)")
    assert [each.name for each in tmp_path.glob("*.db")] == ["a b?.db"]


@pytest.mark.parametrize("page", [512, 32_768, 65_536])
def test_a_file_that_is_cut_off_is_told_by_its_header(tmp_path: Path, page: int) -> None:
    """Whatever the size of its pages; SQLite itself notices only when it needs what is gone."""
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


@pytest.mark.parametrize("seen", [[True, True], [True, False], [False, True]])
def test_a_file_whose_log_was_being_moved_into_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[bool]
) -> None:
    """SIGKILL between two pages of a checkpoint: the header is of later than the file, and SQLite
    goes on from the log. The same where another process is at it now, whether its log came or went
    while the file was looked at.
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

    looks = iter(seen)
    monkeypatch.setattr(module, "_is_logged", lambda _: next(looks))
    with closing(open_file(str(killed), full_sync=False)) as connection:
        assert connection.execute("select length(digest) from inbox").fetchall() == [(200_000,)]
        assert asked(connection, "integrity_check") == "ok"


def test_a_file_that_another_process_is_making_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that start at once: its tables come between one look at it and the next."""
    path = str(tmp_path / "a.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        others = [connection]

        def connect(path: str, mode: str) -> sqlite3.Connection:
            made = first_connect(path, mode)
            made.set_trace_callback(meanwhile)
            return made

        def meanwhile(statement: str) -> None:
            if statement == "pragma user_version" and others:
                upgrade(others.pop(), path)

        first_connect = module._connect
        monkeypatch.setattr(module, "_connect", connect)

        open_file(path, full_sync=False).close()
        assert not others


@pytest.mark.parametrize(
    "mine",
    ["create table mine (id integer)", "pragma application_id = 5", "pragma user_version = 1"],
)
def test_a_file_of_another_program_is_refused(tmp_path: Path, mine: str) -> None:
    """By any sign that it is theirs; and nothing is left open in it."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(mine)
        with pytest.raises(Corrupt) as corrupt:
            upgrade(connection, str(path))
        assert not connection.in_transaction

    assert "holds the tables of another program: name another file" in str(corrupt.value)


def test_a_file_of_this_version_is_left_as_it_is(tmp_path: Path) -> None:
    """Other processes look into it whenever somebody has written."""
    path = str(tmp_path / "a.db")
    with closing(open_file(path, full_sync=False)) as connection:
        before = asked(connection, "data_version")
        open_file(path, full_sync=False).close()

        assert asked(connection, "data_version") == before
        assert asked(connection, "user_version") == SCHEMA_VERSION
