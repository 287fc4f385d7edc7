"""Release: frees the slots of deliveries, and wakes those that wait for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from arvo.interpreters.postgres.connection.dsn import Connection, Dsn

# Slots whose deliveries are woken in one transaction, and expired starts that are removed.
STRANDED_MAX: Final = 100
ENDED_MAX: Final = 10_000


async def lock_slots(connection: Connection, dsn: Dsn, slots: Iterable[str]) -> None:
    """Lock slots until the end of the transaction, in order.

    In a statement of its own: the next one sees the changes that it has waited for. So a delivery
    is parked before the last holder of its slot looks for it, or after that has freed its place.
    """
    locks = sorted({dsn.hash(f"(slot) {slot}") for slot in slots})
    if locks:
        await connection.execute(_LOCK, locks)


_LOCK: Final = "select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as slot (key)"


async def release(
    connection: Connection, dsn: Dsn, delivery_ids: Sequence[int], slots: Iterable[str]
) -> None:
    """Free the *slots* that deliveries hold, in the transaction of the caller."""
    await lock_slots(connection, dsn, slots)
    rows = await connection.fetch(dsn.sql(_FREE), delivery_ids)
    freed: dict[str, int] = {}
    for row in rows:
        freed[row["slot"]] = freed.get(row["slot"], 0) + 1
    if freed:
        await wake(connection, dsn, freed)


_FREE: Final = """
delete from arvo.hold where delivery = any($1::bigint[]) and until is null returning slot
"""


async def release_all(connection: Connection, dsn: Dsn, worker_ids: Sequence[int]) -> None:
    """Free the slots of all deliveries of workers, before these rows are locked."""
    rows = await connection.fetch(dsn.sql(_HELD), worker_ids)
    if rows:
        ids = list({row["delivery"] for row in rows})
        await release(connection, dsn, ids, {row["slot"] for row in rows})


_HELD: Final = """
select hold.delivery, hold.slot
from arvo.delivery join arvo.hold on hold.delivery = delivery.id and hold.until is null
where delivery.owner = any($1::bigint[])
"""


async def wake(connection: Connection, dsn: Dsn, numbers: Mapping[str, int]) -> None:
    """Make so many of the deliveries that wait for each slot available to all workers.

    The first that were accepted. Until they acquire the slot, the column names it.
    """
    slots, counts = list(numbers), list(numbers.values())
    await connection.execute(dsn.sql(_WAKE), slots, counts, dsn.channel)


# Two ranges of the index: those that are parked, and those that come for a start of a rate.
_WAKE: Final = """
with woken as (
    update arvo.delivery as this set owner = null, due = '-infinity'
    from unnest($1::text[], $2::bigint[]) as freed (slot, number) cross join lateral (
        select id from (
            (
                select rank, id from arvo.delivery
                where parked = freed.slot and due = 'infinity'
                order by rank, id limit freed.number
            )
            union all select rank, id from arvo.delivery
            where parked = freed.slot and due > '-infinity' and due < 'infinity' and owner is null
        ) as parked_row order by rank, id limit freed.number
    ) as waiting
    where this.id = waiting.id and (this.owner = -1 or this.owner is null)
    returning this.id
)
select pg_notify($3, '') where exists (select from woken)
"""


async def repair(connection: Connection, dsn: Dsn) -> None:
    """Remove the holds that count no more, and wake the deliveries that wait for a slot which none
    holds and none comes for.

    No release would do that: a process of a version without limits has released a dead worker, a
    limit was changed or removed, or the woken one was settled by a process that does not know it.
    """
    await connection.execute(dsn.sql(_REMOVE_ENDED), ENDED_MAX)
    rows = await connection.fetch(dsn.sql(_STRANDED), STRANDED_MAX)
    if rows:
        await wake(connection, dsn, {row["slot"]: STRANDED_MAX for row in rows})


_REMOVE_ENDED: Final = """
delete from arvo.hold where ctid = any (array (
    select ctid from arvo.hold where until <= statement_timestamp()
    order by until limit $1 for update skip locked
)) or ctid = any (array (
    select ctid from arvo.hold where until is null and not exists (
        select from arvo.delivery where delivery.id = hold.delivery and delivery.owner > 0
    ) limit $1 for update skip locked
))
"""
# The slots are found one by one in the index: they are few, and the rows that wait for them many.
_STRANDED: Final = """
with recursive contended (slot) as (
    (select parked from arvo.delivery where parked is not null order by parked limit 1)
    union all
    select (select parked from arvo.delivery where parked > contended.slot order by parked limit 1)
    from contended where contended.slot is not null
)
select slot from contended where slot is not null
    and not exists (
        select from arvo.hold
        where hold.slot = contended.slot and (until is null or until > clock_timestamp())
    )
    and not exists (
        select from arvo.delivery where parked = contended.slot and due < 'infinity'
    )
limit $1
"""
