"""Forget: take what is too old out of a SQLite file, in small bites."""

import sqlite3
from datetime import timedelta
from typing import Final

from arvo.interpreters.delivery.retention import BITE_ROWS, Retention


def forget(connection: sqlite3.Connection, keep: Retention, now: int) -> None:
    """Take one bite of what is too old, in a transaction of its own."""
    ages = ((_INBOX, keep.inbox), (_FINISHED, keep.finished), (_HISTORY, keep.history))
    # Looked at first: a transaction that deletes nothing would still be written. What is over
    # stays over, so another process can do no more than delete it before us.
    due = [
        (sql, rows)
        for sql, age in ages
        if age is not None and (rows := connection.execute(sql, _bite(age, now)).fetchall())
    ]
    if not due:
        return
    connection.execute("begin immediate")
    for sql, rows in due:
        connection.executemany(_DELETES[sql], rows)
    connection.execute("commit")


def _bite(age: timedelta, now: int) -> tuple[int, int]:
    return now - age // timedelta(milliseconds=1), BITE_ROWS


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
