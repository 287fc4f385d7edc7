"""Workers: the processes that work on a Postgres schema, and the release of dead ones."""

from datetime import datetime, timedelta
from typing import Final

from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.limits.release import release_all
from arvo.interpreters.services.registrations import decode_services

NO_SERVICES: Final = "[]"


async def register(
    connection: Connection, dsn: Dsn, lease: timedelta, services: str = NO_SERVICES
) -> int:
    """Add a worker, and return its id; *services*: see `set_services`.

    The connection takes a lock that the server releases when the process dies, so that a dead
    process is noticed at once; the lease covers a broken network. A pooler gives the connection to
    other clients, so there the lease is all.
    """
    row = await connection.fetchval(dsn.sql("select nextval('arvo.worker_id_seq')"))
    worker_id = int(row or 0)
    if not dsn.pooler:
        await connection.execute("select pg_advisory_lock($1)", _first_lock(dsn) + worker_id)
    await connection.execute(dsn.sql(_REGISTER), worker_id, not dsn.pooler, lease, services)
    return worker_id


_REGISTER: Final = """
insert into arvo.worker (id, session, lease, services)
values ($1, $2, clock_timestamp() + $3, $4)
"""


async def set_services(connection: Connection, dsn: Dsn, worker_id: int, services: str) -> None:
    """Write what a process serves, as `Registrations.encode` returns it."""
    statement = "update arvo.worker set services = $2 where id = $1"
    await connection.execute(dsn.sql(statement), worker_id, services)


async def services(connection: Connection, dsn: Dsn) -> tuple[WorkerServices, ...]:
    """Return the services of the live workers."""
    statement = "select services from arvo.worker where lease >= clock_timestamp()"
    rows = await connection.fetch(dsn.sql(statement))
    return tuple(each for row in rows for each in decode_services(row["services"]))


async def renew_lease(connection: Connection, dsn: Dsn, worker_id: int, lease: timedelta) -> bool:
    """Extend a lease; False if it had expired and another worker released it."""
    return await connection.execute(dsn.sql(_RENEW), worker_id, lease) != "UPDATE 0"


_RENEW: Final = "update arvo.worker set lease = clock_timestamp() + $2 where id = $1"


async def deregister(connection: Connection, dsn: Dsn, worker_id: int) -> None:
    """Remove a worker, and make its deliveries available to others."""
    async with connection.transaction():
        await _remove(connection, dsn, [worker_id])


async def _remove(connection: Connection, dsn: Dsn, worker_ids: list[int]) -> None:
    await release_all(connection, dsn, worker_ids)
    await connection.execute(dsn.sql("delete from arvo.worker where id = any($1)"), worker_ids)
    await connection.execute(dsn.sql(_RELEASE), worker_ids)


_RELEASE: Final = """
update arvo.delivery set owner = null, started = false where owner = any($1)
"""


async def expired(connection: Connection, dsn: Dsn, worker_id: int) -> list[int]:
    """Return the other workers that are dead: their lease has expired, or their lock is free.

    Also returns owners of deliveries that are no longer registered: a transaction of theirs was
    under way while they were removed.
    """
    rows = await connection.fetch(dsn.sql(_EXPIRED), worker_id, _first_lock(dsn))
    return [row["id"] for row in rows]


async def release(connection: Connection, dsn: Dsn, worker_id: int, now: datetime) -> None:
    """Remove the dead workers, and make their deliveries available to others.

    Counts the death for each delivery that they may have been processing (see `CountsDeaths`).
    """
    async with connection.transaction():
        # Asked again in this transaction: it holds their locks, so that none can register now.
        if worker_ids := await expired(connection, dsn, worker_id):
            await release_all(connection, dsn, worker_ids)
            await connection.execute(dsn.sql(_COUNT_DEATH), worker_ids, now)
            await _remove(connection, dsn, worker_ids)


# A delivery that waits for its delay is not being processed.
_COUNT_DEATH: Final = """
update arvo.delivery set attempt = attempt + 1, deaths = deaths + 1
where owner = any($1) and due <= $2 and (started or deaths = 0)
"""
# The owners are found one by one in the index: they are few, and their deliveries many.
_EXPIRED: Final = """
with recursive owners (id) as (
    (select owner from arvo.delivery where owner is not null order by owner limit 1)
    union all
    select (select owner from arvo.delivery where owner > owners.id order by owner limit 1)
    from owners where owners.id is not null
)
select id from arvo.worker where id <> $1
    and (lease < clock_timestamp() or (session and pg_try_advisory_xact_lock($2 + id)))
union
select id from owners
where id > 0 and id <> $1
    and not exists (select from arvo.worker where worker.id = owners.id)
"""


def _first_lock(dsn: Dsn) -> int:
    # The lock of worker N is N above this. The shift leaves room for every N below the largest
    # bigint.
    return dsn.hash("(worker)") >> 2
