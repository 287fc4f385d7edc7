"""Workers: the processes that work on a schema, and what becomes of those that die."""

from datetime import timedelta
from typing import Final

from arvo.interpreters.postgres.connection.dsn import Address, Link


async def join(connection: Link, address: Address, lease: timedelta) -> int:
    """Begin to work; gives the number of this worker.

    It holds a lock of this connection, which the server lets go of when the process has died; its
    lease tells where only the network has. A proxy gives connections to others, so there the lease
    is all.
    """
    me = int(await connection.fetchval(address.sql("select nextval('arvo.worker_id_seq')")) or 0)
    if not address.pooler:
        await connection.execute("select pg_advisory_lock($1)", _locks(address) + me)
    await connection.execute(address.sql(_JOIN), me, not address.pooler, lease)
    return me


_JOIN: Final = """
insert into arvo.worker (id, session, lease) values ($1, $2, clock_timestamp() + $3)
"""


async def renew(connection: Link, address: Address, me: int, lease: timedelta) -> bool:
    """Prolong a lease; False where it had run out and somebody has noticed."""
    return await connection.execute(address.sql(_RENEW), me, lease) != "UPDATE 0"


_RENEW: Final = "update arvo.worker set lease = clock_timestamp() + $2 where id = $1"


async def leave(connection: Link, address: Address, ids: list[int]) -> None:
    """Give back what these have not settled."""
    async with connection.transaction():
        await connection.execute(address.sql("delete from arvo.worker where id = any($1)"), ids)
        await connection.execute(
            address.sql("update arvo.delivery set owner = null where owner = any($1)"), ids
        )


async def expired(connection: Link, address: Address, me: int) -> list[int]:
    """Name the workers, other than *me*, whose lease has run out, or whose lock can be had though
    it should be held; and those who have deliveries and are no workers any more: a transaction of
    theirs was on its way while they were buried.
    """
    found = await connection.fetch(address.sql(_DEAD), me, _locks(address))
    return [row["id"] for row in found]


async def release(connection: Link, address: Address, me: int) -> None:
    """Let others have what dead workers had."""
    async with connection.transaction():
        # Asked in here, so that none can begin to live meanwhile: its lock is held.
        if ids := await expired(connection, address, me):
            await leave(connection, address, ids)


# The owners are found one after the other in the index: there are few, of many deliveries.
_DEAD: Final = """
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
where id is not null and id <> $1
    and not exists (select from arvo.worker where worker.id = owners.id)
"""


def _locks(address: Address) -> int:
    # The lock of worker N has the number N more than this, and no number is too large for it.
    return address.hash("(worker)") >> 2
