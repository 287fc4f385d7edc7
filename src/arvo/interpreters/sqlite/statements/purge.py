"""Purge: delete expired rows from a SQLite file, one batch at a time."""

import sqlite3
import time
from datetime import timedelta
from typing import Final

from arvo.interpreters.delivery.archive.file import (
    ARCHIVE_ENTRIES_MAX,
    ARCHIVE_SECONDS_MAX,
    Archive,
)
from arvo.interpreters.delivery.retention import PURGE_BATCH_ROWS, SWEEP_BATCHES, Retention
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable
from arvo.interpreters.reports.polled import oldest
from arvo.interpreters.sqlite.statements import queries


def purge(connection: sqlite3.Connection, retention: Retention, now: int) -> None:
    """Delete one batch of expired rows, in a transaction of its own."""
    ages = (
        (_INBOX, retention.inbox),
        (_FINISHED, None if retention.archive else retention.finished),
        (_HISTORY, retention.history),
    )
    # Read first: even a transaction that deletes nothing writes. Until the delete another
    # process can delete the same rows, or begin the next run of a finished workflow.
    expired = [
        (sql, rows)
        for sql, age in ages
        if age is not None and (rows := connection.execute(sql, _batch(age, now)).fetchall())
    ]
    reported = connection.execute(_REPORTS, (oldest(now),)).fetchone()
    if expired or reported:
        connection.execute("begin immediate")
        for sql, rows in expired:
            connection.executemany(_DELETES[sql], rows)
        connection.execute("delete from report where at < ?", (oldest(now),))
        connection.execute("commit")
    if retention.archive is not None and retention.finished is not None:
        _move(connection, retention.archive, _batch(retention.finished, now))


def _move(connection: sqlite3.Connection, archive: Archive, expired: tuple[int, int]) -> None:
    """Delete finished workflows, in one transaction, once the archive has them.

    The transaction keeps the other processes of the file from the archive.
    """
    if connection.execute(_FINISHED, expired).fetchone() is None:
        return
    connection.execute("begin immediate")
    moved, entries = [], 0
    deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
    for (id_,) in connection.execute(_FINISHED, expired).fetchall():
        try:
            workflow = queries.archived(connection, id_)
        except BlobMissing as error:
            # It stays until that is restored.
            archive.postpone(error)
            continue
        except BlobUnavailable as error:
            archive.postpone(error)
            break
        moved.append((id_, workflow))
        entries += len(workflow.history)
        if entries >= ARCHIVE_ENTRIES_MAX or time.monotonic() > deadline:
            break
    if moved and archive.append(workflow for _, workflow in moved):
        connection.executemany(_DELETES[_FINISHED], [(id_,) for id_, _ in moved])
    connection.execute("commit")


def sweep_dead_letters(connection: sqlite3.Connection, retention: Retention, now: int) -> bool:
    """Remove the oldest dead letters that are too many or too old; True if more may be left."""
    removed = 0
    for _ in range(SWEEP_BATCHES):
        number = _remove_dead_letters(connection, retention, now)
        removed += number
        if number < PURGE_BATCH_ROWS:
            break
    retention.log_removal(removed)
    return removed == SWEEP_BATCHES * PURGE_BATCH_ROWS


def _remove_dead_letters(connection: sqlite3.Connection, retention: Retention, now: int) -> int:
    if not _surplus(connection, retention, now):
        return 0
    connection.execute("begin immediate")
    # Once more: another process may have removed them since.
    surplus = _surplus(connection, retention, now)
    connection.executemany("delete from dead_letter where id = ?", surplus)
    connection.execute("commit")
    return len(surplus)


def _surplus(connection: sqlite3.Connection, retention: Retention, now: int) -> list[tuple[str]]:
    (number,) = connection.execute("select count(*) from dead_letter").fetchone()
    oldest = retention.oldest_dead_letter(now)
    rows = connection.execute(_OLDEST, (PURGE_BATCH_ROWS,))
    excess = number - retention.dead_letters_max
    return [(id_,) for place, (id_, at) in enumerate(rows) if place < excess or at < oldest]


_OLDEST: Final = "select id, at from dead_letter order by at, id limit ?"


def _batch(age: timedelta, now: int) -> tuple[int, int]:
    return now - age // timedelta(milliseconds=1), PURGE_BATCH_ROWS


_INBOX: Final = "select id from inbox where at < ? order by id limit ?"
_FINISHED: Final = (
    "select id from workflow where status in ('done', 'cancelled') and changed < ? limit ?"
)
_REPORTS: Final = "select 1 from report where at < ? limit 1"
_HISTORY: Final = "select workflow, position from history where at < ? limit ?"
_DELETES: Final = {
    _INBOX: "delete from inbox where id = ?",
    _FINISHED: "delete from workflow where id = ? and status in ('done', 'cancelled')",
    _HISTORY: "delete from history where workflow = ? and position = ?",
}
