"""Park: lets deliveries wait for a slot, in the order in which they are woken."""

from collections.abc import Sequence
from typing import Final

from arvo.engine.limits import Slot
from arvo.interpreters.limits.decide import Request
from arvo.interpreters.limits.rank import rank_of
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn


async def park(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    parked: Sequence[tuple[int, Request, Slot]],
) -> None:
    """Park deliveries, each at a slot that it found full, in the transaction of the caller."""
    ids = [id_ for id_, _, _ in parked]
    ranks = await _rank_all(connection, dsn, parked)
    await connection.execute(
        dsn.sql(_PARK),
        ids,
        [slot.id for _, _, slot in parked],
        ranks,
        [slot.group for _, _, slot in parked],
    )
    # The others of their keys that this worker owns: they wait behind them in every process.
    await connection.execute(dsn.sql(_GIVE_BACK), ids, worker_id)


async def _rank_all(
    connection: Connection, dsn: Dsn, parked: Sequence[tuple[int, Request, Slot]]
) -> list[int | None]:
    """Return the ranks of deliveries; None for one that was woken too early: it keeps its own."""
    groups = list({(slot.id, slot.group) for _, _, slot in parked if slot.group is not None})
    first: dict[str, int | None] = {}
    last: dict[tuple[str, str], int | None] = {}
    if groups:
        rows = await connection.fetch(dsn.sql(_RANKS), *map(list, zip(*groups, strict=True)))
        for row in rows:
            first[row["slot"]] = row["first"]
            last[row["slot"], row["share"]] = row["last"]
    ranks: list[int | None] = []
    for _, request, slot in parked:
        if slot.id == request.woken_at:
            ranks.append(None)
            continue
        group = slot.id, slot.group or ""
        rank = rank_of(slot, first.get(slot.id), last.get(group))
        if slot.group is not None:
            last[group] = rank
            if first[slot.id] is None:
                first[slot.id] = rank
        ranks.append(rank)
    return ranks


# The lowest rank of those that are parked: also of the one that comes for the next start of a rate.
_RANKS: Final = """
select wanted.slot, wanted.share, least((
    select min(rank) from arvo.delivery where parked = wanted.slot and due = 'infinity'
), (
    select min(rank) from arvo.delivery
    where parked = wanted.slot and due > '-infinity' and due < 'infinity'
)) as first, (
    select max(rank) from arvo.delivery where parked = wanted.slot and share = wanted.share
) as last
from unnest($1::text[], $2::text[]) as wanted (slot, share)
"""
_PARK: Final = """
with ended as (
    delete from arvo.hold where delivery = any($1::bigint[]) and until is null
)
update arvo.delivery as this
set owner = -1, due = 'infinity', parked = new.slot, started = false,
    rank = coalesce(new.rank, this.rank), share = new.share
from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) as new (id, slot, rank, share)
where this.id = new.id
"""
_GIVE_BACK: Final = """
update arvo.delivery as this set owner = null
from arvo.delivery as first
where first.id = any($1::bigint[]) and this.key = first.key and this.owner = $2
"""
