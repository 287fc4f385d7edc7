"""Purge: expired rows are deleted, and no other."""

import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.sqlite.statements.purge import purge

NOW = 10_000_000
RETENTION = Retention(
    inbox=timedelta(seconds=1), finished=timedelta(seconds=2), history=timedelta(seconds=3)
)


def fill(connection: sqlite3.Connection) -> None:
    """Write rows that have just expired, and rows that are a millisecond younger."""
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


def remaining(connection: sqlite3.Connection) -> tuple[list[Any], ...]:
    return tuple(
        [value for (value,) in connection.execute(sql)]
        for sql in (
            "select subject from workflow order by id",
            "select at - 10000000 from history",
            "select at - 10000000 from inbox",
        )
    )


def test_finished_work_is_deleted_when_it_expires(connection: sqlite3.Connection) -> None:
    """To the millisecond, each kind by its own age; unfinished work stays at any age."""
    fill(connection)

    purge(connection, RETENTION, NOW)

    assert remaining(connection) == (
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


def test_rows_without_an_age_are_never_deleted(connection: sqlite3.Connection) -> None:
    """A retention of None is unlimited."""
    fill(connection)
    before = remaining(connection)

    purge(connection, Retention(inbox=None, finished=None, history=None), NOW)

    assert remaining(connection) == before


def test_a_purge_that_finds_nothing_writes_nothing(connection: sqlite3.Connection) -> None:
    """Other processes poll the file after every write."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)

    purge(connection, RETENTION, NOW)

    assert all(statement.startswith("select") for statement in statements)


def test_many_rows_are_deleted_in_small_batches(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another write waits for one batch at most."""
    monkeypatch.setattr("arvo.interpreters.sqlite.statements.purge.PURGE_BATCH_ROWS", 2)
    connection.executemany(
        "insert into inbox (digest, at) values (?, 0)", [(bytes([n]),) for n in range(5)]
    )

    counts = []
    for _ in range(4):
        purge(connection, RETENTION, NOW)
        counts += connection.execute("select count(*) from inbox").fetchone()

    assert counts == [3, 1, 0, 0]


class NextRunBegins:
    """A connection on which another process begins the next run of a finished workflow, between
    the read of a purge and its delete.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "begin immediate":
            self._connection.execute("update workflow set status = 'active'")
        return self._connection.execute(sql, *values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        return self._connection.executemany(sql, rows)


def test_a_workflow_whose_next_run_has_begun_is_not_deleted(
    connection: sqlite3.Connection,
) -> None:
    """It is active again."""
    fill(connection)

    racing: Any = NextRunBegins(connection)
    purge(racing, RETENTION, NOW)

    assert len(remaining(connection)[0]) == 8
