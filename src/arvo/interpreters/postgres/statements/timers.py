"""Timers: set by workflows in a Postgres schema, and turned into deliveries when they are due."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from arvo.interpreters.delivery.codec import decode_destination, decode_event
from arvo.interpreters.delivery.operations import make_due_timer
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import DueTimer
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.deliveries import notify
from arvo.interpreters.postgres.statements.write_batch import TimerRow

# Timers fired in one transaction; the rest follows with the next poll.
FIRE_MAX: Final = 1_000


async def schedule(connection: Connection, dsn: Dsn, timers: Sequence[TimerRow]) -> None:
    """Set timers; each replaces a timer of the same id."""
    if timers:
        rows = [
            (
                timer.id,
                timer.due,
                timer.delivery.queue,
                timer.delivery.key,
                timer.delivery.destination,
                timer.delivery.event,
            )
            for timer in timers
        ]
        await connection.execute(dsn.sql(_SCHEDULE), *columns(rows, 6))


_SCHEDULE: Final = """
insert into arvo.timer (id, due, queue, key, destination, event)
select * from unnest(
    $1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[]
)
on conflict (id) do update set due = excluded.due, event = excluded.event
"""


async def clear(connection: Connection, dsn: Dsn, ids: Sequence[str]) -> None:
    """Remove timers."""
    if ids:
        await connection.execute(dsn.sql("delete from arvo.timer where id = any($1::text[])"), ids)


async def fire(connection: Connection, dsn: Dsn, now: datetime) -> int:
    """Turn the timers that are due into unclaimed deliveries; return their number."""
    status = await connection.execute(dsn.sql(_FIRE), now, FIRE_MAX)
    fired = int(status.rpartition(" ")[2])
    if fired:
        await notify(connection, dsn)
    return fired


# Not `id in (...)`: planned without knowing how few timers are due, it reads all of them.
_FIRE: Final = """
with fired as (
    delete from arvo.timer where id = any (array (
        select id from arvo.timer where due <= $1 order by due limit $2 for update skip locked
    ))
    returning due, queue, key, destination, event
)
insert into arvo.delivery (queue, key, destination, event, attempt, due)
select queue, key, destination, event, 1, '-infinity' from fired order by due
"""


async def page(
    connection: Connection, dsn: Dsn, handler: str | None, after: DueTimer | None, limit: int
) -> Callable[[], tuple[DueTimer, ...]]:
    """List timers, the next one first; decoded without the connection."""
    values: list[object] = [limit]
    conditions = ["true"]
    if handler is not None:
        values.append(handler)
        conditions.append(f"queue = ${len(values)}")
    if after is not None:
        values += (after.due, after.id)
        conditions.append(f"(due, id) > (${len(values) - 1}, ${len(values)})")
    statement = f"{_TIMERS} where {' and '.join(conditions)} {_NEXT_FIRST}"
    rows = await connection.fetch(dsn.sql(statement), *values)
    return lambda: tuple(
        make_due_timer(
            row["due"],
            Message(decode_event(row["event"], dsn.codec), decode_destination(row["destination"])),
        )
        for row in rows
    )


_TIMERS: Final = "select due, destination, event from arvo.timer"
_NEXT_FIRST: Final = "order by due, id limit $1"
