"""Workers: the processes that work on a SQLite file, and the release of dead ones."""

import sqlite3
from typing import Final

from arvo.interpreters.sqlite.connection.liveness import is_process_dead


def register(
    connection: sqlite3.Connection, worker_id: str, namespace: str, pid: int, until: int
) -> None:
    """Add or replace a worker whose lease expires at *until*."""
    connection.execute(
        "insert or replace into worker (id, namespace, pid, lease) values (?, ?, ?, ?)",
        (worker_id, namespace, pid, until),
    )


def renew_lease(connection: sqlite3.Connection, worker_id: str, until: int) -> bool:
    """Extend a lease; False if it had expired and another worker released it."""
    done = connection.execute("update worker set lease = ? where id = ?", (until, worker_id))
    return bool(done.rowcount)


def deregister(connection: sqlite3.Connection, worker_id: str) -> None:
    """Remove a worker, and make its deliveries available to others."""
    connection.execute(
        "update delivery set owner = null, started = 0 where owner = ?", (worker_id,)
    )
    connection.execute("delete from worker where id = ?", (worker_id,))


def expired(connection: sqlite3.Connection, now: int, *, worker_id: str) -> list[str]:
    """Return the other workers whose lease has expired or whose process has ended."""
    rows = connection.execute("select id, namespace, pid, lease from worker").fetchall()
    return [
        id_
        for id_, namespace, pid, lease in rows
        if id_ != worker_id and (lease < now or is_process_dead(namespace, pid))
    ]


def release(connection: sqlite3.Connection, worker_ids: list[str], now: int) -> None:
    """Remove dead workers, and make their deliveries available to others.

    Counts the death for each delivery that they may have been processing (see `CountsDeaths`).
    """
    for worker_id in worker_ids:
        connection.execute(_COUNT_DEATH, (worker_id, now))
        deregister(connection, worker_id)


# A delivery that waits for its delay is not being processed.
_COUNT_DEATH: Final = """
update delivery set attempt = attempt + 1, deaths = deaths + 1
where owner = ? and due <= ? and (started or not deaths)
"""
