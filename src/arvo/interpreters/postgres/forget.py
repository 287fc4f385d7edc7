"""Forget: take what is too old out of a Postgres schema, in small bites."""

from datetime import datetime
from typing import Final

from arvo.interpreters.postgres.address import Address, Link
from arvo.interpreters.retention import BITE_ROWS, Retention


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
            done = await connection.execute(address.sql(_FINISHED), now - keep.finished, BITE_ROWS)
            gone += _rows(done)
    return gone


_INBOX: Final = """
delete from arvo.inbox where digest in (
    select digest from arvo.inbox where at < $1 order by at limit $2 for update skip locked
)
"""
_HISTORY: Final = """
delete from arvo.history where (workflow, position) in (
    select workflow, position from arvo.history where at < $1 order by at limit $2
)
"""
_FINISHED: Final = """
with old as (
    select id from arvo.workflow where status in ('done', 'cancelled') and changed < $1
    limit $2 for update skip locked
), lines as (
    delete from arvo.journal where workflow in (select id from old)
), past as (
    delete from arvo.history where workflow in (select id from old)
)
delete from arvo.workflow where id in (select id from old)
"""


def _rows(done: str) -> int:
    return int(done.rpartition(" ")[2])
