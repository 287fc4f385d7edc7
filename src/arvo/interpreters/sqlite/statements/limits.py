"""Limits: which deliveries of a SQLite file hold the slots of limits, and which are parked."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, final

from attrs import frozen

from arvo.engine.limits import Slot
from arvo.interpreters.limits.decide import Decided, decide
from arvo.interpreters.sqlite.statements.deliveries import give_back_followers

# In place of a worker: it owns the deliveries that are parked. So they are in no index of those
# that can be claimed, and hold back the others of their key.
PARKED: Final = "(parked)"
# Later than any time.
NEVER: Final = 2**62
# Slots whose deliveries are woken in one transaction, and expired starts that are removed.
STRANDED_MAX: Final = 100
ENDED_MAX: Final = 10_000


@final
@frozen
class Acquired:
    """For each request whether it holds its slots; whether some deliveries can be claimed now; and
    the times at which others can.
    """

    held: tuple[bool, ...]
    is_claimable: bool
    due: tuple[int, ...]


def acquire(
    connection: sqlite3.Connection,
    worker_id: str,
    requests: Sequence[tuple[int, tuple[Slot, ...]]],
    now: int,
) -> Acquired:
    """Let deliveries take their slots, or park them.

    One that *worker_id* does not own, or that is behind an earlier one of its key, gets none.
    """
    mine = [_is_next(connection, id_, worker_id, now) for id_, _ in requests]
    own = [request for request, is_mine in zip(requests, mine, strict=True) if is_mine]
    # Of an attempt to acquire whose answer was lost.
    connection.executemany(_FREE, [(id_,) for id_, _ in own])
    decided = decide([slots for _, slots in own], lambda slot: _count(connection, slot, now))
    for (id_, slots), full in zip(own, decided.full, strict=True):
        if full is None:
            connection.executemany(_HOLD, [(slot.id, id_, _end(slot, now)) for slot in slots])
            connection.execute(_UNPARK, (id_,))
        else:
            connection.execute(_PARK, (PARKED, NEVER, full.id, id_))
            give_back_followers(connection, id_, worker_id)
    woken, due = _wake_all(connection, decided)
    got = iter(decided.full)
    held = tuple(is_mine and next(got) is None for is_mine in mine)
    return Acquired(held, woken > 0 or not all(mine), due)


def _is_next(connection: sqlite3.Connection, id_: int, worker_id: str, now: int) -> bool:
    """Return whether a worker owns a delivery, and it is the first of its key; if not, give it
    back.

    This process may still have the copy of a delivery that was given back when the one before it
    was parked.
    """
    if connection.execute(_IS_NEXT, (id_, worker_id, now)).fetchone() is not None:
        return True
    connection.execute(
        "update delivery set owner = null where id = ? and owner = ?", (id_, worker_id)
    )
    return False


_IS_NEXT: Final = """
select 1 from delivery as this
where id = ?1 and owner = ?2 and (
    key is null or not exists (
        select 1 from delivery as other
        where other.key = this.key and other.id < this.id and other.queue = this.queue
            and not (other.owner is null and other.deferred and other.due > ?3)
    )
)
"""
_FREE: Final = "delete from hold where delivery = ? and until is null"
_HOLD: Final = "insert into hold (slot, delivery, until) values (?, ?, ?)"
_UNPARK: Final = "update delivery set parked = null where id = ? and parked is not null"
_PARK: Final = "update delivery set owner = ?, due = ?, parked = ?, started = 0 where id = ?"


def _count(connection: sqlite3.Connection, slot: Slot, now: int) -> int:
    if slot.seconds is not None:
        connection.execute("delete from hold where slot = ? and until <= ?", (slot.id, now))
    statement = "select count(*) from hold where slot = ?"
    number: int = connection.execute(statement, (slot.id,)).fetchone()[0]
    return number


def _end(slot: Slot, now: int) -> int | None:
    # At least one millisecond: a start at the same time counts.
    return None if slot.seconds is None else now + max(1, round(slot.seconds * 1000))


def _wake_all(connection: sqlite3.Connection, decided: Decided) -> tuple[int, tuple[int, ...]]:
    """Wake those that have room; return how many, and when each full rate has its next start."""
    woken, due = 0, []
    for slot, free in decided.free.items():
        if free > 0:
            woken += _wake(connection, slot.id, min(free, decided.times[slot]))
        elif slot.seconds is not None:
            end: int
            (end,) = connection.execute(_NEXT_START, (slot.id, slot.number - 1)).fetchone()
            if connection.execute(_WAKE_AT, (end, slot.id, PARKED)).rowcount:
                due.append(end)
    return woken, tuple(due)


def _wake(connection: sqlite3.Connection, slot: str, number: int) -> int:
    """Make the first *number* deliveries that wait for a slot available to all workers.

    Until they acquire it, the column names it.
    """
    return connection.execute(_WAKE, (slot, PARKED, number)).rowcount


_WAKE: Final = """
update delivery set owner = null, due = 0 where id in (
    select id from delivery where parked = ?1 and (owner = ?2 or (owner is null and due > 0))
    order by id limit ?3
)
"""
# It acquires the slot then, and passes this on.
_WAKE_AT: Final = """
update delivery set owner = null, due = ?1 where id = (
    select id from delivery where parked = ?2 and (owner = ?3 or (owner is null and due > 0))
    order by id limit 1
)
"""


def next_due(connection: sqlite3.Connection, now: int) -> int | None:
    """Return when the next delivery that waits for a start of a rate can be claimed, or None."""
    due: int | None = connection.execute(_NEXT_DUE, (now,)).fetchone()[0]
    return due


_NEXT_DUE: Final = """
select min(due) from delivery where parked is not null and owner is null and due > ?
"""
_NEXT_START: Final = "select until from hold where slot = ? order by until desc limit 1 offset ?"


def release(connection: sqlite3.Connection, delivery_ids: Iterable[int]) -> int:
    """Free the slots of deliveries; return how many others were woken."""
    freed = Counter[str]()
    for id_ in delivery_ids:
        freed.update(slot for (slot,) in connection.execute(_HELD, (id_,)))
        connection.execute(_FREE, (id_,))
    return _wake_freed(connection, freed)


def release_all(connection: sqlite3.Connection, worker_id: str) -> int:
    """Free the slots of all deliveries of a worker; return how many others were woken."""
    ids = [id_ for (id_,) in connection.execute(_HOLDERS, (worker_id,))]
    return release(connection, ids)


_HELD: Final = "select slot from hold where delivery = ? and until is null"
_HOLDERS: Final = """
select distinct delivery from hold
where until is null and delivery in (select id from delivery where owner = ?)
"""


def _wake_freed(connection: sqlite3.Connection, freed: Counter[str]) -> int:
    return sum(_wake(connection, slot, number) for slot, number in freed.items())


def repair(connection: sqlite3.Connection, now: int) -> None:
    """Remove the holds that count no more, and wake the deliveries that wait for a slot which none
    holds and none comes for.

    No release would do that: a process of a version without limits has released a dead worker, a
    limit was changed or removed, or the woken one was settled by a process that does not know it.
    """
    ended = now, PARKED, ENDED_MAX
    stranded = connection.execute(_STRANDED, (NEVER, now, STRANDED_MAX)).fetchall()
    # Read first: even a transaction that changes nothing writes.
    if not stranded and connection.execute(_ENDED, ended).fetchone() is None:
        return
    connection.execute("begin immediate")
    rows = connection.execute(_ENDED, ended).fetchall()
    connection.executemany("delete from hold where rowid = ?", rows)
    for (slot,) in stranded:
        _wake(connection, slot, STRANDED_MAX)
    connection.execute("commit")


_ENDED: Final = """
select rowid from hold where until <= ?1
union all
select rowid from hold where until is null and not exists (
    select 1 from delivery where id = hold.delivery and owner is not null and owner <> ?2
)
limit ?3
"""
# Each slot is one look into the index, so the cost does not grow with the rows that wait for it.
_STRANDED: Final = """
with recursive contended (slot) as (
    select min(parked) from delivery where parked is not null
    union all
    select (select min(parked) from delivery where parked > contended.slot)
    from contended where contended.slot is not null
)
select slot from contended where slot is not null
    and not exists (
        select 1 from hold where hold.slot = contended.slot and (until is null or until > ?2)
    )
    and not exists (select 1 from delivery where parked = contended.slot and due <> ?1)
limit ?3
"""
