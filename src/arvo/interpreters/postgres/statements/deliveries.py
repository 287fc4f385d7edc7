"""Deliveries: which of them are handed to this process, and when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from arvo.interpreters.delivery.codec import Row, destination_of, event_of
from arvo.interpreters.ports.backend import Message
from arvo.interpreters.postgres.connection.dsn import Address, Link
from arvo.interpreters.postgres.statements.tables import NOTIFY, channel

# Timers that come due at once; the rest follows in the next look.
DUE_MAX: Final = 1_000


async def claim(
    connection: Link,
    address: Address,
    me: int,
    queues: Mapping[str, int],
    but: Sequence[int],
    now: datetime,
) -> tuple[list[Row], bool]:
    """Take deliveries that nobody has, as many as each lane has room for, in order of each key.

    *but*: keys of which *me* has enough. Tells as well whether others were about to take some of
    the same, so that it may be worth while to ask again.
    """
    async with connection.transaction():
        found = await connection.fetch(
            address.sql(_CANDIDATES), me, list(queues), list(queues.values()), but, now
        )
        ids = [id_ for id_, is_ours in found if is_ours]
        # In a statement of its own: the first one saw the keys as they were before it had them.
        taken = await connection.fetch(address.sql(_CLAIM), me, ids, now) if ids else []
    taken.sort(key=lambda row: row["id"])
    rows = [
        Row(id_, Message(event_of(event), destination_of(to)), attempt)
        for id_, to, event, attempt in taken
    ]
    return rows, len(rows) < len(found)


# Two looks into an index, on both sides of our own number: it does not matter how many of a key are
# ours. Not `not exists`, which may be planned as a hash of all that anybody has.
_CANDIDATES: Final = """
with candidate as materialized (
    select found.id, found.key
    from unnest($2::text[], $3::integer[]) as wanted (lane, room) cross join lateral (
        select id, key from arvo.delivery as this
        where this.lane = wanted.lane and this.owner is null and this.due <= $5
            and (this.key is null or this.key <> all ($4::bigint[]) and (
                    select true from arvo.delivery as other
                    where other.key = this.key and other.owner < $1 limit 1
                ) is null and (
                    select true from arvo.delivery as other
                    where other.key = this.key and other.owner > $1 limit 1
                ) is null)
        order by this.id limit wanted.room for update skip locked
    ) as found
)
select id, key is null or pg_try_advisory_xact_lock(key) as is_ours from candidate
"""
_CLAIM: Final = """
update arvo.delivery as this set owner = $1
where this.id = any($2::bigint[]) and this.owner is null and (
    this.key is null or (
        select true from arvo.delivery as other
        where other.key = this.key and other.owner < $1 limit 1
    ) is null and (
        select true from arvo.delivery as other
        where other.key = this.key and other.owner > $1 limit 1
    ) is null and not exists (
        select from arvo.delivery as earlier
        where earlier.key = this.key and earlier.owner is null and earlier.id < this.id
            and earlier.due <= $3 and earlier.id <> all ($2::bigint[])
    )
)
returning id, destination, event, attempt
"""


async def nack(
    connection: Link,
    address: Address,
    me: int,
    number: int,
    attempt: int,
    due: datetime,
) -> bool:
    """Note that a delivery is to be tried again; False where *me* has it no more."""
    done = await connection.execute(address.sql(_AGAIN), number, me, attempt, due)
    return done != "UPDATE 0"


_AGAIN: Final = """
update arvo.delivery set attempt = $3, due = $4 where id = $1 and owner = $2
"""


async def fire(connection: Link, address: Address, now: datetime) -> int:
    """Make deliveries of the timers that are due; gives how many."""
    done = await connection.execute(address.sql(_FIRE), now, DUE_MAX)
    fired = int(done.rpartition(" ")[2])
    if fired:
        await connection.execute(NOTIFY, channel(address))
    return fired


# Not `id in (...)`: planned without knowing how few are due, that reads all timers there are.
_FIRE: Final = """
with fired as (
    delete from arvo.timer where id = any (array (
        select id from arvo.timer where due <= $1 order by due limit $2 for update skip locked
    ))
    returning due, lane, key, destination, event
)
insert into arvo.delivery (lane, key, destination, event, attempt, due)
select lane, key, destination, event, 1, '-infinity' from fired order by due
"""


async def news(
    connection: Link, address: Address, queues: list[str], now: datetime
) -> tuple[datetime | None, bool]:
    """Say when the next timer is due, and whether any of these lanes has what nobody has."""
    row = await connection.fetchrow(address.sql(_NEWS), queues, now)
    assert row is not None
    return row["due"], row["is_claimable"]


_NEWS: Final = """
select (select min(due) from arvo.timer) as due, exists (
    select from arvo.delivery where lane = any($1::text[]) and owner is null and due <= $2
) as is_claimable
"""


async def depth(connection: Link, address: Address, now: datetime) -> tuple[int, int, int]:
    """Count deliveries, those that are not due yet, and timers."""
    row = await connection.fetchrow(address.sql(_DEPTH), now)
    assert row is not None
    return row["total"], row["delayed"], row["timers"]


_DEPTH: Final = """
select count(*) as total, count(*) filter (where due > $1) as delayed,
    (select count(*) from arvo.timer) as timers
from arvo.delivery
"""


async def count(connection: Link, address: Address) -> int:
    """Count deliveries."""
    return int(await connection.fetchval(address.sql("select count(*) from arvo.delivery")) or 0)


async def is_busy(connection: Link, address: Address) -> bool:
    """Tell whether anything is under way."""
    return bool(await connection.fetchval(address.sql("select exists (select from arvo.delivery)")))
