"""Limits: which deliveries of a SQLite file hold the slots of limits, and which are parked."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, final

from attrs import frozen

from arvo.engine.limits import Slot
from arvo.interpreters.limits.decide import Decided, Request, Waiting, decide
from arvo.interpreters.limits.rank import rank_of
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
    states = [_read_next(connection, id_, worker_id, now) for id_, _ in requests]
    own = [
        (id_, Request(slots, state[0]))
        for (id_, slots), state in zip(requests, states, strict=True)
        if state is not None
    ]
    # Of an attempt to acquire whose answer was lost.
    connection.executemany(_FREE, [(id_,) for id_, _ in own])
    decided = decide(
        [request for _, request in own],
        lambda slot: _count(connection, slot, now),
        lambda slot: _find_waiting(connection, slot, now),
    )
    for (id_, request), full in zip(own, decided.full, strict=True):
        if full is None:
            connection.executemany(
                _HOLD, [(slot.id, id_, _end(slot, now)) for slot in request.slots]
            )
            if request.woken_at is not None:
                connection.execute(_UNPARK, (id_,))
        else:
            _park(connection, id_, full, request.woken_at)
            give_back_followers(connection, id_, worker_id)
    woken, due = _wake_all(connection, decided)
    got = iter(decided.full)
    held = tuple(state is not None and next(got) is None for state in states)
    return Acquired(held, woken > 0 or not all(states), due)


def _read_next(
    connection: sqlite3.Connection, id_: int, worker_id: str, now: int
) -> tuple[str | None] | None:
    """Return for which slot a delivery was woken, if a worker owns it and it is the first of its
    key; if not, give it back.

    This process may still have the copy of a delivery that was given back when the one before it
    was parked.
    """
    row: tuple[str | None] | None
    row = connection.execute(_NEXT, (id_, worker_id, now)).fetchone()
    if row is None:
        connection.execute(
            "update delivery set owner = null where id = ? and owner = ?", (id_, worker_id)
        )
    return row


_IS_FIRST: Final = """
(
    this.key is null or not exists (
        select 1 from delivery as other
        where other.key = this.key and other.id < this.id and other.queue = this.queue
            and not (other.owner is null and other.deferred and other.due > ?3)
    )
)"""
_NEXT: Final = """
select parked from delivery as this where id = ?1 and owner = ?2 and {is_first}
""".replace("{is_first}", _IS_FIRST)
_FREE: Final = "delete from hold where delivery = ? and until is null"
_HOLD: Final = "insert into hold (slot, delivery, until) values (?, ?, ?)"
_UNPARK: Final = "update delivery set parked = null, rank = 0, share = null where id = ?"


def _park(
    connection: sqlite3.Connection, delivery_id: int, slot: Slot, woken_at: str | None
) -> None:
    """Park a delivery; one that was woken too early keeps its rank."""
    if slot.id == woken_at or (slot.group is None and woken_at is None):
        connection.execute(_PARK, (PARKED, NEVER, slot.id, delivery_id))
        return
    values = {"slot": slot.id, "never": NEVER, "share": slot.group}
    rank = rank_of(slot, *connection.execute(_RANKS, values).fetchone())
    connection.execute(_PARK_AT, (PARKED, NEVER, slot.id, rank, slot.group, delivery_id))


_PARK: Final = "update delivery set owner = ?, due = ?, parked = ?, started = 0 where id = ?"
_PARK_AT: Final = """
update delivery set owner = ?, due = ?, parked = ?, rank = ?, share = ?, started = 0 where id = ?
"""
# The lowest rank of those that are parked: also of the one that comes for the next start of a rate.
_RANKS: Final = """
select (
    select min(rank) from (
        select min(rank) as rank from delivery where parked = :slot and due = :never
        union all
        select rank from delivery where parked = :slot and due > 0 and due < :never
    )
), (select max(rank) from delivery where parked = :slot and share = :share)
"""


def _count(connection: sqlite3.Connection, slot: Slot, now: int) -> int:
    if slot.seconds is not None:
        connection.execute("delete from hold where slot = ? and until <= ?", (slot.id, now))
    statement = "select count(*) from hold where slot = ?"
    number: int = connection.execute(statement, (slot.id,)).fetchone()[0]
    return number


def _find_waiting(connection: sqlite3.Connection, slot: Slot, now: int) -> Waiting:
    """Return what waits for a slot, without those that wait for another delivery of their key."""
    woken: int
    (woken,) = connection.execute(_WOKEN, (slot.id, slot.number, now)).fetchone()
    is_parked = connection.execute(_IS_PARKED, (slot.id, now)).fetchone() is not None
    return Waiting(woken, is_parked=is_parked)


_WOKEN: Final = """
select count(*) from (
    select 1 from delivery as this where parked = ?1 and due <= ?3 and {is_first} limit ?2
)
""".replace("{is_first}", _IS_FIRST)
_IS_PARKED: Final = "select 1 from delivery where parked = ? and due > ? limit 1"


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
            row = connection.execute(_NEXT_START, (slot.id, slot.number - 1)).fetchone()
            # None: those that were woken have room, and pass it on.
            if row is None:
                continue
            end: int = row[0]
            if connection.execute(_WAKE_AT, (slot.id, NEVER, 1, end)).rowcount:
                due.append(end)
    return woken, tuple(due)


def _wake(connection: sqlite3.Connection, slot: str, number: int) -> int:
    """Make the first *number* deliveries that wait for a slot available to all workers.

    Until they acquire it, the column names it.
    """
    return connection.execute(_WAKE, (slot, NEVER, number)).rowcount


# Two ranges of the index: those that are parked, and those that come for a start of a rate.
_FIRST: Final = """
select id from (
    select * from (
        select rank, id from delivery where parked = ?1 and due = ?2 order by rank, id limit ?3
    )
    union all
    select rank, id from delivery where parked = ?1 and due > 0 and due < ?2 and owner is null
) order by rank, id limit ?3
"""
_WAKE: Final = """
update delivery set owner = null, due = 0 where id in ({first})
""".replace("{first}", _FIRST)
# It acquires the slot then, and passes this on.
_WAKE_AT: Final = """
update delivery set owner = null, due = ?4 where id in ({first})
""".replace("{first}", _FIRST)


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
    and not exists (select 1 from delivery where parked = contended.slot and due < ?1)
limit ?3
"""
