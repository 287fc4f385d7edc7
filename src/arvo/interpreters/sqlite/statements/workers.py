"""Workers: the processes that work on a SQLite file, and the release of dead ones."""

import sqlite3
from typing import Final

from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.services.registrations import decode_services
from arvo.interpreters.sqlite.connection.liveness import is_process_dead
from arvo.interpreters.sqlite.statements import limits

NO_SERVICES: Final = "[]"


def register(
    connection: sqlite3.Connection,
    worker_id: str,
    namespace: str,
    pid: int,
    until: int,
    services: str = NO_SERVICES,
) -> None:
    """Add or replace a worker whose lease expires at *until*; *services*: see `set_services`."""
    connection.execute(
        "insert or replace into worker (id, namespace, pid, lease, services)"
        " values (?, ?, ?, ?, ?)",
        (worker_id, namespace, pid, until, services),
    )


def set_services(connection: sqlite3.Connection, worker_id: str, services: str) -> None:
    """Write the services of a process, as `Registrations.encode` returns it."""
    connection.execute("update worker set services = ? where id = ?", (services, worker_id))


def services(connection: sqlite3.Connection, now: int) -> tuple[WorkerServices, ...]:
    """Return the services of the live workers."""
    rows = connection.execute("select services from worker where lease >= ?", (now,))
    return tuple(each for (text,) in rows for each in decode_services(text))


def renew_lease(connection: sqlite3.Connection, worker_id: str, until: int) -> bool:
    """Extend a lease; False if it had expired and another worker released it.

    The value changes in any case, by a millisecond: SQLite writes no page that stays the same, and
    a probe that writes nothing succeeds on a full disk.
    """
    done = connection.execute(
        "update worker set lease = ?1 + (lease = ?1) where id = ?2", (until, worker_id)
    )
    return bool(done.rowcount)


def is_registered(connection: sqlite3.Connection, worker_id: str) -> bool:
    """Return False for a worker that another one took for dead: it must claim nothing, as it would
    own what it received before once more.
    """
    row = connection.execute("select 1 from worker where id = ?", (worker_id,)).fetchone()
    return row is not None


def deregister(connection: sqlite3.Connection, worker_id: str) -> None:
    """Remove a worker, and make its deliveries available to others."""
    limits.release_all(connection, worker_id)
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
