"""Workers: the processes that work on a schema, and what becomes of those that die."""

from datetime import timedelta
from typing import Final

from arvo.interpreters.postgres.address import Address, Link


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


async def bury(connection: Link, address: Address, me: int) -> int:
    """Let others have what dead workers had; gives how many had died.

    Dead is whose lease has run out, or whose lock can be had though it should be held.
    """
    async with connection.transaction():
        others = await connection.fetch(address.sql(_OTHERS), me, _locks(address))
        dead = [id_ for id_, is_dead in others if is_dead]
        if dead:
            await leave(connection, address, dead)
    return len(dead)


_OTHERS: Final = """
select id, lease < clock_timestamp() or (session and pg_try_advisory_xact_lock($2 + id))
from arvo.worker where id <> $1
"""


def _locks(address: Address) -> int:
    # The lock of worker N has the number N more than this, and no number is too large for it.
    return address.hash("(worker)") >> 2
