"""Forget: take what is too old out of a SQLite file, in small bites."""

import sqlite3
from typing import Final

from arvo.interpreters.retention import BITE_ROWS, Retention


def forget(connection: sqlite3.Connection, keep: Retention, now: int) -> int:
    """Take one bite of what is too old, in a transaction of its own; gives how many rows went."""
    bites = [
        (sql, now - int(age.total_seconds() * 1000))
        for sql, age in ((_INBOX, keep.inbox), (_FINISHED, keep.finished), (_HISTORY, keep.history))
        if age is not None
    ]
    # Looked at first: a transaction that deletes nothing would still be written.
    due = [bite for bite in bites if connection.execute(bite[0], (bite[1], 1)).fetchone()]
    if not due:
        return 0
    connection.execute("begin immediate")
    gone = 0
    for sql, before in due:
        rows = connection.execute(sql, (before, BITE_ROWS)).fetchall()
        gone += connection.executemany(_DELETES[sql], rows).rowcount
    connection.execute("commit")
    return gone


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
