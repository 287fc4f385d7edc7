"""Retention: how long a store remembers what is over, and how it forgets in small bites."""

import sqlite3
from datetime import timedelta
from typing import Final, final

from attrs import frozen

# Rows that one bite takes away: some milliseconds, in which nobody else writes.
BITE_ROWS: Final = 500


@final
@frozen(kw_only=True)
class Retention:
    """How long a store remembers what is over; None: for ever.

    *inbox*: which events were consumed; one that is delivered again after that would be consumed
    again by a handler without memory. *finished*: workflows that are done or were cancelled, with
    their history; failed ones stay, for somebody to look at. *history*: the events of workflows
    that go on, beyond which they cannot be replayed.
    """

    inbox: timedelta | None = timedelta(days=7)
    finished: timedelta | None = timedelta(days=30)
    history: timedelta | None = None


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
