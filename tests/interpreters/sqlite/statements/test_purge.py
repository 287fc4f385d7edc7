"""Forget: what is too old goes, and nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.statements.purge import forget

NOW = 10_000_000
KEEP = Retention(
    inbox=timedelta(seconds=1), finished=timedelta(seconds=2), history=timedelta(seconds=3)
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_file(str(tmp_path / "a.db"), full_sync=False)) as opened:
        yield opened


def fill(connection: sqlite3.Connection) -> None:
    """Write what is just too old, and what is a millisecond younger."""
    for status in ("done", "cancelled", "active", "failed"):
        for changed in (NOW - 2_001, NOW - 2_000):
            connection.execute(
                "insert into workflow"
                " (subject, handler, version, status, revision, record, began, changed)"
                " values (?, 'h', '1.0.0', ?, 1, '{}', 0, ?)",
                (f"{status} {changed - NOW}", status, changed),
            )
    for position, at in enumerate((NOW - 3_001, NOW - 3_000)):
        connection.execute(
            "insert into history (workflow, position, revision, kind, at, event)"
            " select id, ?, 1, 'consumed', ?, '{}' from workflow where subject = 'active -2000'",
            (position, at),
        )
    for number, at in enumerate((NOW - 1_001, NOW - 1_000)):
        connection.execute("insert into inbox (digest, at) values (?, ?)", (bytes([number]), at))


def left(connection: sqlite3.Connection) -> tuple[list[Any], ...]:
    return tuple(
        [value for (value,) in connection.execute(sql)]
        for sql in (
            "select subject from workflow order by id",
            "select at - 10000000 from history",
            "select at - 10000000 from inbox",
        )
    )


def test_what_is_over_goes_when_its_time_has_passed(connection: sqlite3.Connection) -> None:
    """To the millisecond, each by its own age; what is under way stays, however old."""
    fill(connection)

    forget(connection, KEEP, NOW)

    assert left(connection) == (
        [
            "done -2000",
            "cancelled -2000",
            "active -2001",
            "active -2000",
            "failed -2001",
            "failed -2000",
        ],
        [-3_000],
        [-1_000],
    )
    assert not connection.in_transaction


def test_what_is_kept_for_ever_stays(connection: sqlite3.Connection) -> None:
    """No age, no end."""
    fill(connection)
    before = left(connection)

    forget(connection, Retention(inbox=None, finished=None, history=None), NOW)

    assert left(connection) == before


def test_where_nothing_is_too_old_nothing_is_written(connection: sqlite3.Connection) -> None:
    """Other processes look into the file whenever somebody has written."""
    said: list[str] = []
    connection.set_trace_callback(said.append)

    forget(connection, KEEP, NOW)

    assert all(statement.startswith("select") for statement in said)


def test_many_rows_go_in_small_bites(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes meanwhile waits for one of them at most."""
    monkeypatch.setattr("arvo.interpreters.sqlite.statements.purge.BITE_ROWS", 2)
    connection.executemany(
        "insert into inbox (digest, at) values (?, 0)", [(bytes([n]),) for n in range(5)]
    )

    rest = []
    for _ in range(4):
        forget(connection, KEEP, NOW)
        rest += connection.execute("select count(*) from inbox").fetchone()

    assert rest == [3, 1, 0, 0]
