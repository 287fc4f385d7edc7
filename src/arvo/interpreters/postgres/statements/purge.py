"""Forget: take what is too old out of a Postgres schema, in small bites."""

from datetime import datetime
from typing import Final

from arvo.interpreters.delivery.retention import BITE_ROWS, Retention
from arvo.interpreters.postgres.connection.dsn import Address, Link

# Lines of history that go together with their workflows in one bite, those of the last one aside:
# a workflow may have had thousands.
LINES_MAX: Final = 10_000


async def forget(connection: Link, address: Address, keep: Retention, now: datetime) -> int:
    """Take one bite of what is too old, in a transaction of its own; gives how many rows went."""
    gone = 0
    async with connection.transaction():
        lock = address.hash("(forget)")
        # Of several processes one is enough.
        if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", lock):
            return 0
        if keep.inbox is not None:
            done = await connection.execute(address.sql(_INBOX), now - keep.inbox, BITE_ROWS)
            gone += _rows(done)
        if keep.history is not None:
            done = await connection.execute(address.sql(_HISTORY), now - keep.history, BITE_ROWS)
            gone += _rows(done)
        if keep.finished is not None:
            before = now - keep.finished
            gone += await connection.fetchval(address.sql(_FINISHED), before, BITE_ROWS, LINES_MAX)
    return gone


# Each by its key from an array: planned without knowing how few they are, `in (...)` reads whole
# tables.
_INBOX: Final = """
delete from arvo.inbox where digest = any (array (
    select digest from arvo.inbox where at < $1 order by at limit $2 for update skip locked
))
"""
_HISTORY: Final = """
delete from arvo.history where (workflow, position) in (
    select workflow, position from arvo.history where at < $1 order by at limit $2
)
"""
# One status at a time, oldest first, which is the order of the index: else all workflows are read
# where none is old enough.
_FINISHED: Final = """
with found as materialized (
    select this.id, this.lines, this.changed
    from (values ('done'), ('cancelled')) as over (status) cross join lateral (
        select id, lines, changed from arvo.workflow
        where status = over.status and status in ('done', 'cancelled') and changed < $1
        order by changed limit $2 for update skip locked
    ) as this
), old as materialized (
    select id from (
        select id, sum(lines) over (order by changed, id) - lines as before from found
    ) as counted
    where before < $3 order by before limit $2
), told as (
    delete from arvo.journal where workflow = any (array (select id from old))
), past as (
    delete from arvo.history where workflow = any (array (select id from old)) returning 1
), gone as (
    delete from arvo.workflow where id = any (array (select id from old)) returning 1
)
select (select count(*) from gone) + (select count(*) from past)
"""


def _rows(done: str) -> int:
    return int(done.rpartition(" ")[2])
