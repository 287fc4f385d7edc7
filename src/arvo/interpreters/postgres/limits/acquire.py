"""Acquire: lets deliveries take the slots of limits, or parks them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, final

import asyncpg
from attrs import frozen

from arvo.engine.limits import Slot
from arvo.interpreters.limits.decide import Decided, Request, Waiting, decide
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.limits.park import park
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
        own = [
            (id_, Request(each, state.woken_at[id_]))
            for id_, each in requests
            if id_ in state.woken_at
        ]
        waiting = await _find_waiting(connection, dsn, own, now)
        decided = decide(
            [request for _, request in own],
            lambda slot: state.holders.get(slot.id, 0),
            lambda slot: waiting[slot.id],
        )
        decisions = [(*each, full) for each, full in zip(own, decided.full, strict=True)]
        held = [(id_, request.slots) for id_, request, full in decisions if full is None]
        parked = [(id_, request, full) for id_, request, full in decisions if full is not None]
        if len(own) < len(ids):
            # This process may still have the copy of a delivery that was given back when the one
            # before it was parked.
            others = list({*ids} - state.woken_at.keys())
            await connection.execute(dsn.sql(_RETURN), others, worker_id, dsn.channel)
        if held:
            await _hold(connection, dsn, held, slots)
        if parked:
            await park(connection, dsn, worker_id, parked)
        seconds = await _wake_all(connection, dsn, decided, state.contended, now)
    return Acquired(frozenset(id_ for id_, _ in held), seconds)


@final
@frozen
class _State:
    """The rows that a request depends on.

    *woken_at*: the deliveries that the worker owns and that are the first of their key, and for
    which slot each of them was woken. *holders*: how many others hold each slot. *contended*: those
    for which deliveries are parked.
    """

    woken_at: dict[int, str | None]
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
        {row["id"]: row["slot"] for row in rows if row["kind"] == "own"},
        {row["slot"]: row["number"] for row in rows if row["kind"] == "held"},
        {row["slot"] for row in rows if row["kind"] == "contended"},
    )


# In a statement behind that of the locks, whose changes it sees. Holds of the deliveries
# themselves do not count: a process of a version without limits may have released their worker.
_STATE: Final = """
with own as materialized (
    select id, parked from arvo.delivery as this
    where id = any($1::bigint[]) and owner = $2 and (
        key is null or not exists (
            select from arvo.delivery as other
            where other.key = this.key and other.id < this.id and other.queue = this.queue
                and not (other.owner is null and other.deferred and other.due > $3)
        )
    ) order by id for update
)
select 'own' as kind, id, parked as slot, 0::bigint as number from own
union all select 'held', 0, slot, count(*) from arvo.hold
    where slot = any($4::text[])
        and case when until is null then delivery <> all ($1::bigint[])
            else until > clock_timestamp() end
    group by slot
union all select 'contended', 0, slot, 0 from unnest($4::text[]) as wanted (slot)
    where exists (select from arvo.delivery where parked = wanted.slot)
"""


async def _find_waiting(
    connection: Connection, dsn: Dsn, own: Sequence[tuple[int, Request]], now: datetime
) -> dict[str, Waiting]:
    """Return what waits for each slot with a group, without those that wait for another delivery
    of their key.
    """
    numbers = {
        slot.id: slot.number
        for _, request in own
        for slot in request.slots
        if slot.group is not None
    }
    if not numbers:
        return {}
    rows = await connection.fetch(dsn.sql(_WAITING), [*numbers], [*numbers.values()], now)
    return {row["slot"]: Waiting(row["woken"], is_parked=row["is_parked"]) for row in rows}


_WAITING: Final = """
select wanted.slot, (
    select count(*) from (
        select from arvo.delivery as this
        where parked = wanted.slot and due <= $3 and (
            key is null or not exists (
                select from arvo.delivery as other
                where other.key = this.key and other.id < this.id and other.queue = this.queue
                    and not (other.owner is null and other.deferred and other.due > $3)
            )
        ) limit wanted.number
    ) as claimable
) as woken, exists (
    select from arvo.delivery where parked = wanted.slot and due > $3
) as is_parked
from unnest($1::text[], $2::bigint[]) as wanted (slot, number)
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
    update arvo.delivery set parked = null, rank = 0, share = null
    where id = any($4::bigint[]) and parked is not null
), ended as (
    delete from arvo.hold where (slot = any($5::text[]) and until <= clock_timestamp())
        or (delivery = any($4::bigint[]) and until is null)
)
insert into arvo.hold (slot, delivery, until)
select slot, delivery, clock_timestamp() + seconds * interval '1 second'
from unnest($1::text[], $2::bigint[], $3::float8[]) as new (slot, delivery, seconds)
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
    select id from (
        (
            select rank, id from arvo.delivery
            where parked = full_slot.slot and due = 'infinity' order by rank, id limit 1
        )
        union all select rank, id from arvo.delivery
        where parked = full_slot.slot and due > '-infinity' and due < 'infinity' and owner is null
    ) as parked_row order by rank, id limit 1
) as waiting
where this.id = waiting.id and (this.owner = -1 or this.owner is null)
returning extract(epoch from next.after)::float8 as seconds
"""
