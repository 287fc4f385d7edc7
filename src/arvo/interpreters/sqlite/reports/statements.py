"""Statements: the reports of effects, in rows that the readers of a workflow poll."""

import sqlite3
from typing import Final

from arvo.interpreters.reports.polled import STORED_MAX, oldest


def has_reader(connection: sqlite3.Connection, subject: str, now: int) -> bool:
    """Return whether a reader of a subject has renewed its row."""
    row = connection.execute(
        "select 1 from report_reader where subject = ? and until >= ?", (subject, now)
    ).fetchone()
    return row is not None


def renew(connection: sqlite3.Connection, subject: str, until: int, now: int) -> None:
    """Register a reader of a subject, and remove those that are gone."""
    connection.execute("delete from report_reader where until < ?", (now,))
    connection.execute(_RENEW, (subject, until))


def newest(connection: sqlite3.Connection) -> int:
    """Return the id of the newest batch, 0 if there is none: a later one has a higher id."""
    (id_,) = connection.execute("select coalesce(max(id), 0) from report").fetchone()
    return int(id_)


def after(connection: sqlite3.Connection, subject: str, id_: int) -> list[tuple[int, bytes]]:
    """Return the batches of a subject behind an id, oldest first."""
    return connection.execute(_AFTER, (subject, id_, STORED_MAX)).fetchall()


def add(
    connection: sqlite3.Connection,
    subject: str,
    batch: bytes,
    owned: tuple[int, str],
    now: int,
) -> None:
    """Store a batch, and delete what is too old or too much.

    *owned*: the id of a delivery, and the worker without which nothing is stored.
    """
    connection.execute(_ADD, (subject, now, batch, *owned))
    connection.execute(_EXCESS, (subject, subject, STORED_MAX))
    connection.execute("delete from report where at < ?", (oldest(now),))


_RENEW: Final = """
insert into report_reader (subject, until) values (?, ?)
on conflict (subject) do update set until = max(until, excluded.until)
"""
_AFTER: Final = "select id, content from report where subject = ? and id > ? order by id limit ?"
_ADD: Final = """
insert into report (subject, at, content)
select ?, ?, ? where exists (select 1 from delivery where id = ? and owner = ?)
"""
_EXCESS: Final = """
delete from report where subject = ? and id <= (
    select id from report where subject = ? order by id desc limit 1 offset ?
)
"""
