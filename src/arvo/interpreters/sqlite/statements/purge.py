"""Purge: delete expired rows from a SQLite file, one batch at a time."""

import sqlite3
from datetime import timedelta
from typing import Final

from arvo.interpreters.delivery.retention import PURGE_BATCH_ROWS, Retention


def purge(connection: sqlite3.Connection, retention: Retention, now: int) -> None:
    """Delete one batch of expired rows, in a transaction of its own."""
    ages = (
        (_INBOX, retention.inbox),
        (_FINISHED, retention.finished),
        (_HISTORY, retention.history),
    )
    # Read first: even a transaction that deletes nothing writes to the file. Finished workflows
    # stay finished, so between read and delete another process can only delete the same rows.
    expired = [
        (sql, rows)
        for sql, age in ages
        if age is not None and (rows := connection.execute(sql, _batch(age, now)).fetchall())
    ]
    if not expired:
        return
    connection.execute("begin immediate")
    for sql, rows in expired:
        connection.executemany(_DELETES[sql], rows)
    connection.execute("commit")


def _batch(age: timedelta, now: int) -> tuple[int, int]:
    return now - age // timedelta(milliseconds=1), PURGE_BATCH_ROWS


_INBOX: Final = "select id from inbox where at < ? order by id limit ?"
_FINISHED: Final = (
    "select id from workflow where status in ('done', 'cancelled') and changed < ? limit ?"
)
_HISTORY: Final = "select workflow, position from history where at < ? limit ?"
_DELETES: Final = {
    _INBOX: "delete from inbox where id = ?",
    _FINISHED: "delete from workflow where id = ?",
    _HISTORY: "delete from history where workflow = ? and position = ?",
}
