"""Deliveries: the messages under way in a Postgres schema, and the workers that own them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from arvo.interpreters.delivery.codec import StoredMessage, stored_message
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.write_batch import DeliveryRow


async def send(connection: Connection, dsn: Dsn, rows: Sequence[DeliveryRow]) -> None:
    """Add unclaimed deliveries, and wake waiting workers when the transaction is committed."""
    if rows:
        values = delivery_columns([(row, False) for row in rows])
        await connection.execute(dsn.sql(_SEND), *values)
        await notify(connection, dsn)


def delivery_columns(rows: Sequence[tuple[DeliveryRow, bool]]) -> list[list[object]]:
    """Turn deliveries into columns, each with whether the worker that sends it shall own it."""
    return columns(_delivery_values(rows), 6)


def _delivery_values(rows: Sequence[tuple[DeliveryRow, bool]]) -> Iterator[tuple[object, ...]]:
    for row, own in rows:
        yield row.queue, row.key, row.destination, row.event, row.cancels, own


_SEND: Final = """
insert into arvo.delivery (queue, key, destination, event, cancels, attempt, due)
select queue, key, destination, event, cancels, 1, '-infinity'
from unnest(
    $1::text[], $2::bigint[], $3::bytea[], $4::bytea[], $5::boolean[], $6::boolean[]
) with ordinality as new (queue, key, destination, event, cancels, own, place)
order by place
"""


async def notify(connection: Connection, dsn: Dsn) -> None:
    """Wake the workers that listen, when the transaction is committed."""
    await connection.execute("select pg_notify($1, '')", dsn.channel)


async def claim(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    queues: Mapping[str, int],
    excluded_keys: Sequence[int],
    now: datetime,
) -> tuple[list[StoredMessage], bool]:
    """Claim unclaimed deliveries, up to the limit of each queue, and return them in order.

    Deliveries whose key is excluded, or has one that belongs to another worker, are left out, and
    those behind an unclaimed one that was returned by `nack` and is not due. A worker that another
    one took for dead claims nothing: it would own what it received before once more, and process a
    delivery of those before an earlier one. Also returns whether other workers competed for the
    same rows, so that it is worth to claim again.
    """
    async with connection.transaction():
        candidates = await connection.fetch(
            dsn.sql(_CANDIDATES),
            worker_id,
            list(queues),
            list(queues.values()),
            excluded_keys,
            now,
        )
        ids = [id_ for id_, has_key in candidates if has_key]
        # A statement of its own: the first one saw each key as it was before it was locked.
        claimed = await connection.fetch(dsn.sql(_CLAIM), worker_id, ids, now) if ids else []
    claimed.sort(key=lambda row: row["id"])
    rows = [stored_message(tuple(row), dsn.codec) for row in claimed]
    return rows, len(rows) < len(candidates)


# Two index lookups for each key, below and above our own id: their cost does not depend on how many
# deliveries of the key we own. Not `not exists`, which may be planned as a hash of all owned rows.
_CANDIDATES: Final = """
with candidate as materialized (
    select claimable.id, claimable.key
    from unnest($2::text[], $3::integer[]) as wanted (queue, room) cross join lateral (
        select id, key from arvo.delivery as this
        where this.queue = wanted.queue and this.owner is null and this.due <= $5
            and (this.key is null or this.key <> all ($4::bigint[]) and (
                    select true from arvo.delivery as other
                    where other.key = this.key and other.owner < $1 limit 1
                ) is null and (
                    select true from arvo.delivery as other
                    where other.key = this.key and other.owner > $1 limit 1
                ) is null and (
                    select true from arvo.delivery as earlier
                    where earlier.key = this.key and earlier.owner is null and earlier.id < this.id
                        and earlier.due > $5 and not earlier.deferred
                        and earlier.queue = this.queue limit 1
                ) is null)
        order by this.id limit wanted.room for update skip locked
    ) as claimable
)
select id, key is null or pg_try_advisory_xact_lock(key) as has_key from candidate
"""
_CLAIM: Final = """
update arvo.delivery as this set owner = $1, deferred = false
where this.id = any($2::bigint[]) and this.owner is null
and (select true from arvo.worker where id = $1) and (
    this.key is null or (
        select true from arvo.delivery as other
        where other.key = this.key and other.owner < $1 limit 1
    ) is null and (
        select true from arvo.delivery as other
        where other.key = this.key and other.owner > $1 limit 1
    ) is null and not exists (
        select from arvo.delivery as earlier
        where earlier.key = this.key and earlier.owner is null and earlier.id < this.id
            and (earlier.due <= $3 or not earlier.deferred) and earlier.queue = this.queue
            and earlier.id <> all ($2::bigint[])
    )
)
returning id, destination, event, attempt, deaths, progress
"""


async def checkpoint(
    connection: Connection, dsn: Dsn, delivery_id: int, worker_id: int, progress: bytes
) -> bool:
    """Store the results of a step's effects; False if *worker_id* no longer owns the delivery."""
    status = await connection.execute(dsn.sql(_CHECKPOINT), delivery_id, worker_id, progress)
    return status != "UPDATE 0"


_CHECKPOINT: Final = """
update arvo.delivery set progress = $3 where id = $1 and owner = $2
"""


async def nack(
    connection: Connection,
    dsn: Dsn,
    delivery_id: int,
    worker_id: int,
    attempt: int,
    due: datetime,
) -> bool:
    """Set the next attempt of a delivery and its time; False if *worker_id* no longer owns it."""
    status = await connection.execute(dsn.sql(_NACK), delivery_id, worker_id, attempt, due)
    return status != "UPDATE 0"


_NACK: Final = """
update arvo.delivery set attempt = $3, due = $4, started = false where id = $1 and owner = $2
"""


async def mark_started(connection: Connection, dsn: Dsn, delivery_id: int, worker_id: int) -> bool:
    """Mark that a worker processes a delivery; False if *worker_id* no longer owns it."""
    status = await connection.execute(dsn.sql(_MARK_STARTED), delivery_id, worker_id)
    return status != "UPDATE 0"


_MARK_STARTED: Final = """
update arvo.delivery set started = true where id = $1 and owner = $2
"""


async def defer(
    connection: Connection,
    dsn: Dsn,
    delivery_id: int,
    worker_id: int,
    attempt: int,
    due: datetime,
) -> bool:
    """As `nack`, but unclaimed: any worker may claim it when it is due, and the others of its key
    pass it until then.
    """
    status = await connection.execute(dsn.sql(_DEFER), delivery_id, worker_id, attempt, due)
    return status != "UPDATE 0"


_DEFER: Final = """
update arvo.delivery set attempt = $3, due = $4, owner = null, started = false, deferred = true
where id = $1 and owner = $2
"""


async def release(
    connection: Connection, dsn: Dsn, delivery_id: int, worker_id: int, due: datetime
) -> None:
    """Make a delivery of *worker_id* available to all workers when it is *due*.

    The others of its key that this worker owns as well: they wait behind it in every process.
    """
    await connection.execute(dsn.sql(_RELEASE), delivery_id, worker_id, due)


_RELEASE: Final = """
with released as (
    update arvo.delivery set owner = null, due = $3, started = false
    where id = $1 and owner = $2 returning id, key
)
update arvo.delivery as this set owner = null from released
where this.key = released.key and this.owner = $2 and this.id <> released.id
"""


async def poll(
    connection: Connection, dsn: Dsn, queues: list[str], now: datetime
) -> tuple[datetime | None, bool]:
    """Return when the next timer is due, and whether any of the queues has unclaimed deliveries."""
    row = await connection.fetchrow(dsn.sql(_POLL), queues, now)
    assert row is not None
    return row["due"], row["is_claimable"]


_POLL: Final = """
select (select min(due) from arvo.timer) as due, exists (
    select from arvo.delivery where queue = any($1::text[]) and owner is null and due <= $2
) as is_claimable
"""


async def depth(connection: Connection, dsn: Dsn, now: datetime) -> tuple[int, int, int]:
    """Count all deliveries, those that are not yet due, and the timers."""
    row = await connection.fetchrow(dsn.sql(_DEPTH), now)
    assert row is not None
    return row["total"], row["delayed"], row["timers"]


_DEPTH: Final = """
select count(*) as total, count(*) filter (where due > $1) as delayed,
    (select count(*) from arvo.timer) as timers
from arvo.delivery
"""


async def count(connection: Connection, dsn: Dsn) -> int:
    """Count all deliveries."""
    return int(await connection.fetchval(dsn.sql("select count(*) from arvo.delivery")) or 0)


async def is_busy(connection: Connection, dsn: Dsn) -> bool:
    """Return True if any delivery is under way."""
    return bool(await connection.fetchval(dsn.sql("select exists (select from arvo.delivery)")))
