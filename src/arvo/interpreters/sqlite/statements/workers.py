"""Workers: the processes that work on a SQLite file, and what becomes of those that die."""

import sqlite3

from arvo.interpreters.sqlite.connection.liveness import is_dead


def join(connection: sqlite3.Connection, me: str, place: str, pid: int, until: int) -> None:
    """Say that *me* works here, until its lease runs out."""
    connection.execute(
        "insert or replace into worker (id, place, pid, lease) values (?, ?, ?, ?)",
        (me, place, pid, until),
    )


def renew(connection: sqlite3.Connection, me: str, until: int) -> bool:
    """Prolong a lease; False where it had run out and somebody has noticed."""
    done = connection.execute("update worker set lease = ? where id = ?", (until, me))
    return bool(done.rowcount)


def leave(connection: sqlite3.Connection, me: str) -> None:
    """Give back what *me* has not settled."""
    connection.execute("update delivery set owner = null where owner = ?", (me,))
    connection.execute("delete from worker where id = ?", (me,))


def expired(connection: sqlite3.Connection, now: int, *, me: str) -> list[str]:
    """Name the workers, other than *me*, whose lease has run out or whose process is gone."""
    rows = connection.execute("select id, place, pid, lease from worker").fetchall()
    return [
        id_ for id_, place, pid, lease in rows if id_ != me and (lease < now or is_dead(place, pid))
    ]


def release(connection: sqlite3.Connection, ids: list[str]) -> None:
    """Let others have what dead workers had."""
    for id_ in ids:
        leave(connection, id_)
