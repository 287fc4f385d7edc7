"""Acquire: lets deliveries take the slots of limits, or parks them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

import asyncpg
from attrs import frozen

from arvo.engine.limits import Slot
from arvo.interpreters.limits.decide import Decided, decide
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.limits.release import lock_slots, wake

# Slots that one transaction may lock: the server's lock table is bounded.
SLOTS_MAX: Final = 128


@final
@frozen
class Acquired:
    """The deliveries that hold their slots, by the ids of their rows, and in how many seconds the
    first delivery that waits for a start of a rate can be claimed; None: none of them waits.
    """

    held: frozenset[int]
    seconds: float | None


async def acquire(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    requests: Sequence[tuple[int, tuple[Slot, ...]]],
    now: datetime,
) -> Acquired:
    """Let deliveries take their slots, in one transaction.

    One that *worker_id* does not own, or that comes before an earlier one of its key, gets none.
    *now*: by the clock of this process, which decides when it claims what is due.
    """
    slots = list(dict.fromkeys(slot for _, each in requests for slot in each))
    async with connection.transaction():
        await lock_slots(connection, dsn, [slot.id for slot in slots])
        own = await _own(connection, dsn, worker_id, requests, now)
        holders = await _count(connection, dsn, slots, [id_ for id_, _ in own])
        decided = decide([each for _, each in own], lambda slot: holders.get(slot.id, 0))
        held = [it for it, full in zip(own, decided.full, strict=True) if full is None]
        parked = [(id_, full) for (id_, _), full in zip(own, decided.full, strict=True) if full]
        if held:
            await _hold(connection, dsn, held)
        if parked:
            await _park(connection, dsn, worker_id, parked)
        seconds = await _wake_all(connection, dsn, decided, now)
    return Acquired(frozenset(id_ for id_, _ in held), seconds)


async def _own(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    requests: Sequence[tuple[int, tuple[Slot, ...]]],
    now: datetime,
) -> list[tuple[int, tuple[Slot, ...]]]:
    """Return the requests of deliveries that a worker owns and that are the first of their key.

    It gives the others back: it may still have the copy of a delivery that was given back when the
    one before it was parked.
    """
    ids = [id_ for id_, _ in requests]
    rows = await connection.fetch(dsn.sql(_NEXT), ids, worker_id, now)
    mine = {row["id"] for row in rows}
    if others := [id_ for id_ in ids if id_ not in mine]:
        await connection.execute(dsn.sql(_RETURN), others, worker_id)
    return [request for request in requests if request[0] in mine]


_NEXT: Final = """
select id from arvo.delivery as this
where id = any($1::bigint[]) and owner = $2 and (
    key is null or not exists (
        select from arvo.delivery as other
        where other.key = this.key and other.id < this.id and other.queue = this.queue
            and not (other.owner is null and other.deferred and other.due > $3)
    )
) order by id for update
"""
_RETURN: Final = """
update arvo.delivery set owner = null where id = any($1::bigint[]) and owner = $2
"""


async def _count(
    connection: Connection, dsn: Dsn, slots: Sequence[Slot], own: Sequence[int]
) -> dict[str, int]:
    """Return how many hold each slot, without the starts that count no more.

    Nor the *own* deliveries: a process of a version without limits may have released their worker.
    """
    names = [slot.id for slot in slots]
    await connection.execute(dsn.sql(_END), names, own)
    rows = await connection.fetch(dsn.sql(_COUNT), names)
    return {row["slot"]: row["number"] for row in rows}


_END: Final = """
delete from arvo.hold where (slot = any($1::text[]) and until <= clock_timestamp())
    or (delivery = any($2::bigint[]) and until is null)
"""
_COUNT: Final = """
select slot, count(*) as number from arvo.hold where slot = any($1::text[]) group by slot
"""


async def _hold(
    connection: Connection, dsn: Dsn, held: Sequence[tuple[int, tuple[Slot, ...]]]
) -> None:
    rows = [(slot.id, id_, slot.seconds) for id_, slots in held for slot in slots]
    await connection.execute(
        dsn.sql(_HOLD), *map(list, zip(*rows, strict=True)), [id_ for id_, _ in held]
    )


_HOLD: Final = """
with unparked as (
    update arvo.delivery set parked = null where id = any($4::bigint[]) and parked is not null
)
insert into arvo.hold (slot, delivery, until)
select slot, delivery, clock_timestamp() + seconds * interval '1 second'
from unnest($1::text[], $2::bigint[], $3::float8[]) as new (slot, delivery, seconds)
"""


async def _park(
    connection: Connection, dsn: Dsn, worker_id: int, parked: Sequence[tuple[int, Slot]]
) -> None:
    ids, slots = [id_ for id_, _ in parked], [slot.id for _, slot in parked]
    await connection.execute(dsn.sql(_PARK), ids, slots)
    # What this worker has of their keys: it waits behind them in every process.
    await connection.execute(dsn.sql(_GIVE_BACK), ids, worker_id)


_PARK: Final = """
update arvo.delivery as this
set owner = -1, due = 'infinity', parked = new.slot, started = false
from unnest($1::bigint[], $2::text[]) as new (id, slot) where this.id = new.id
"""
_GIVE_BACK: Final = """
update arvo.delivery as this set owner = null
from arvo.delivery as first
where first.id = any($1::bigint[]) and this.key = first.key and this.owner = $2
"""


async def _wake_all(
    connection: Connection, dsn: Dsn, decided: Decided, now: datetime
) -> float | None:
    """Wake what has room, and let the first one of each full rate be claimed when it has."""
    room = {slot.id: min(free, decided.times[slot]) for slot, free in decided.free.items()}
    if wanted := {slot: number for slot, number in room.items() if number > 0}:
        await wake(connection, dsn, wanted)
    full = [slot for slot, free in decided.free.items() if free <= 0 and slot.seconds is not None]
    if not full:
        return None
    rows: list[asyncpg.Record] = await connection.fetch(
        dsn.sql(_WAKE_AT), [slot.id for slot in full], [slot.number for slot in full], now
    )
    return min((row["seconds"] for row in rows), default=None)


# It acquires the slot then, and passes this on.
_WAKE_AT: Final = """
update arvo.delivery as this set owner = null, due = $3::timestamptz + next.after
from unnest($1::text[], $2::bigint[]) as full_slot (slot, number)
cross join lateral (
    select until - clock_timestamp() as after from arvo.hold
    where hold.slot = full_slot.slot order by until desc limit 1 offset full_slot.number - 1
) as next
cross join lateral (
    select id from arvo.delivery
    where parked = full_slot.slot and (owner = -1 or (owner is null and due > '-infinity'))
    order by id limit 1
) as waiting
where this.id = waiting.id and (this.owner = -1 or this.owner is null)
returning extract(epoch from next.after)::float8 as seconds
"""
