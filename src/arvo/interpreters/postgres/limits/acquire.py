"""Acquire: lets deliveries take the slots of limits, or parks them."""

from collections.abc import Collection, Sequence
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

    One that *worker_id* does not own, or that is behind an earlier one of its key, gets none.
    *now*: by the clock of this process, which decides when it claims what is due.
    """
    slots = list(dict.fromkeys(slot.id for _, each in requests for slot in each))
    ids = [id_ for id_, _ in requests]
    async with connection.transaction():
        await lock_slots(connection, dsn, slots)
        state = await _read(connection, dsn, worker_id, ids, slots, now)
        own = [request for request in requests if request[0] in state.own]
        decided = decide([each for _, each in own], lambda slot: state.holders.get(slot.id, 0))
        held = [it for it, full in zip(own, decided.full, strict=True) if full is None]
        parked = [(id_, full) for (id_, _), full in zip(own, decided.full, strict=True) if full]
        if len(own) < len(ids):
            # This process may still have the copy of a delivery that was given back when the one
            # before it was parked.
            others = list({*ids} - state.own)
            await connection.execute(dsn.sql(_RETURN), others, worker_id, dsn.channel)
        if held:
            await _hold(connection, dsn, held, slots)
        if parked:
            await _park(connection, dsn, worker_id, parked)
        seconds = await _wake_all(connection, dsn, decided, state.contended, now)
    return Acquired(frozenset(id_ for id_, _ in held), seconds)


@final
@frozen
class _State:
    """The rows that a request depends on.

    *own*: the deliveries that the worker owns and that are the first of their key. *holders*: how
    many others hold each slot. *contended*: those for which deliveries are parked.
    """

    own: set[int]
    holders: dict[str, int]
    contended: set[str]


async def _read(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    ids: Sequence[int],
    slots: Sequence[str],
    now: datetime,
) -> _State:
    rows = await connection.fetch(dsn.sql(_STATE), ids, worker_id, now, slots)
    return _State(
        {row["id"] for row in rows if row["kind"] == "own"},
        {row["slot"]: row["number"] for row in rows if row["kind"] == "held"},
        {row["slot"] for row in rows if row["kind"] == "contended"},
    )


# In a statement behind that of the locks, whose changes it sees. Holds of the deliveries
# themselves do not count: a process of a version without limits may have released their worker.
_STATE: Final = """
with own as materialized (
    select id from arvo.delivery as this
    where id = any($1::bigint[]) and owner = $2 and (
        key is null or not exists (
            select from arvo.delivery as other
            where other.key = this.key and other.id < this.id and other.queue = this.queue
                and not (other.owner is null and other.deferred and other.due > $3)
        )
    ) order by id for update
)
select 'own' as kind, id, null as slot, 0::bigint as number from own
union all select 'held', 0, slot, count(*) from arvo.hold
    where slot = any($4::text[])
        and case when until is null then delivery <> all ($1::bigint[])
            else until > clock_timestamp() end
    group by slot
union all select 'contended', 0, slot, 0 from unnest($4::text[]) as wanted (slot)
    where exists (select from arvo.delivery where parked = wanted.slot)
"""
_RETURN: Final = """
with returned as (
    update arvo.delivery set owner = null where id = any($1::bigint[]) and owner = $2 returning id
)
select pg_notify($3, '') where exists (select from returned)
"""


async def _hold(
    connection: Connection,
    dsn: Dsn,
    held: Sequence[tuple[int, tuple[Slot, ...]]],
    slots: Sequence[str],
) -> None:
    rows = [(slot.id, id_, slot.seconds) for id_, each in held for slot in each]
    ids = [id_ for id_, _ in held]
    await connection.execute(dsn.sql(_HOLD), *map(list, zip(*rows, strict=True)), ids, slots)


_HOLD: Final = """
with unparked as (
    update arvo.delivery set parked = null where id = any($4::bigint[]) and parked is not null
), ended as (
    delete from arvo.hold where (slot = any($5::text[]) and until <= clock_timestamp())
        or (delivery = any($4::bigint[]) and until is null)
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
    # The others of their keys that this worker owns: they wait behind them in every process.
    await connection.execute(dsn.sql(_GIVE_BACK), ids, worker_id)


_PARK: Final = """
with ended as (
    delete from arvo.hold where delivery = any($1::bigint[]) and until is null
)
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
    connection: Connection,
    dsn: Dsn,
    decided: Decided,
    contended: Collection[str],
    now: datetime,
) -> float | None:
    """Wake those that have room, and let the first one of each full rate be claimed in time."""
    wanted = {
        slot.id: min(free, decided.times[slot])
        for slot, free in decided.free.items()
        if free > 0 and slot.id in contended
    }
    if wanted:
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
