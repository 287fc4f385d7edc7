"""Limits: what a SQLite file does with slots when workers die, and when limits change."""

import sqlite3

from attrs import evolve

from arvo.engine.limits import Slot
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite.statements import deliveries, limits, workers
from tests.interpreters.sqlite.statements.batches import ME, OTHER, PAY, message, owners
from tests.shop import charge_request

ONE = Slot("one", 1)
RATE = Slot("rate", 1, 10.0)
# By the clock of a worker, in milliseconds.
NOW = 1_000


def send(connection: sqlite3.Connection, number: int, key: str | None = None) -> list[int]:
    """Send messages that ME owns; return the ids of their deliveries."""
    rows = deliveries.send(connection, [message(key, each) for each in range(number)], 0, ME)
    return [row.id for row in rows]


def acquire(
    connection: sqlite3.Connection, ids: list[int], *slots: Slot, worker: str = ME, now: int = NOW
) -> list[bool]:
    acquired = limits.acquire(connection, worker, [(id_, slots) for id_ in ids], now)
    return list(acquired.held)


def claimable(connection: sqlite3.Connection, now: int = NOW) -> list[int]:
    """Return the deliveries that another worker claims."""
    return [row.id for row in deliveries.claim(connection, OTHER, {PAY: 10}, now)]


def test_a_parked_delivery_is_in_no_index_of_those_that_can_be_claimed(
    connection: sqlite3.Connection,
) -> None:
    """A claim costs the same among ten thousand that wait."""
    ids = send(connection, 2)

    assert acquire(connection, ids, ONE) == [True, False]

    assert owners(connection) == [ME, limits.PARKED]
    assert claimable(connection) == []
    assert deliveries.depth(connection, NOW) == (2, 1, 0)


def test_a_new_message_of_a_limited_queue_belongs_to_no_worker(
    connection: sqlite3.Connection,
) -> None:
    """Those that are sent with it belong to the sender, as without any limit."""
    messages = [message("a"), Message(charge_request("c1"), ToHandler("com.limited", None))]

    [owned] = deliveries.send(connection, messages, 0, ME, ["com.limited"])

    assert owned.message == messages[0]
    assert owners(connection) == [ME, None]


def test_the_slots_of_a_dead_worker_are_free(connection: sqlite3.Connection) -> None:
    """And what waited for them can be claimed beside what the worker had."""
    first, second = send(connection, 2)
    acquire(connection, [first, second], ONE)

    workers.deregister(connection, ME)

    assert claimable(connection) == [first, second]
    assert acquire(connection, [first, second], ONE, worker=OTHER) == [True, False]


def test_a_delivery_of_another_worker_takes_no_slot(connection: sqlite3.Connection) -> None:
    """A worker that lost its lease acquires nothing for what it had."""
    ids = send(connection, 1)

    assert acquire(connection, ids, ONE, worker=OTHER) == [False]

    assert acquire(connection, ids, ONE) == [True]


def test_what_waits_behind_a_parked_delivery_is_given_back(connection: sqlite3.Connection) -> None:
    """Another process may take all of them, in their order."""
    held, *_ = send(connection, 1)
    first, second = send(connection, 2, "key")
    acquire(connection, [held], ONE)

    assert acquire(connection, [first], ONE) == [False]
    # This process may still have the copy that it had before.
    assert acquire(connection, [second], ONE) == [False]

    assert claimable(connection) == []
    limits.release(connection, [held])
    assert claimable(connection) == [first, second]


def test_a_start_is_claimed_when_an_earlier_one_counts_no_more(
    connection: sqlite3.Connection,
) -> None:
    """Not before, and the first one only."""
    first, second, third = send(connection, 3)
    acquired = limits.acquire(connection, ME, [(it, (RATE,)) for it in (first, second, third)], NOW)

    assert (acquired.held, acquired.due) == ((True, False, False), (NOW + 10_000,))
    assert limits.next_due(connection, NOW) == NOW + 10_000
    assert claimable(connection, NOW + 9_999) == []
    assert claimable(connection, NOW + 10_000) == [second]
    assert acquire(connection, [second], RATE, worker=OTHER, now=NOW + 10_000) == [True]
    assert claimable(connection, NOW + 20_000) == [third]


def test_a_delivery_is_woken_whose_limit_is_gone(connection: sqlite3.Connection) -> None:
    """No release wakes it: its handler has no such limit any more, or another number of it."""
    first, second, third = send(connection, 3)
    acquire(connection, [first, second, third], ONE)
    limits.repair(connection, NOW)
    assert claimable(connection) == []

    # As a process does that knows no limit.
    deliveries.remove(connection, [first])
    limits.repair(connection, NOW)
    limits.repair(connection, NOW)

    assert claimable(connection) == [second, third]


def test_no_more_are_woken_while_one_comes_for_its_slot(connection: sqlite3.Connection) -> None:
    """It wakes the next one when it gives the slot back."""
    first, second, third = send(connection, 3)
    acquire(connection, [first, second, third], ONE)
    limits.release(connection, [first])

    limits.repair(connection, NOW)

    assert claimable(connection) == [second]
    assert owners(connection) == [ME, OTHER, limits.PARKED]


def test_starts_that_count_no_more_are_removed(connection: sqlite3.Connection) -> None:
    """Each customer may have a key of its own, and come once."""
    [first] = send(connection, 1)
    acquire(connection, [first], RATE)

    limits.repair(connection, NOW + 9_999)
    assert connection.execute("select count(*) from hold").fetchone() == (1,)
    limits.repair(connection, NOW + 10_000)

    assert connection.execute("select count(*) from hold").fetchone() == (0,)


def test_an_urgent_delivery_does_not_hold_back_the_one_before_it(
    connection: sqlite3.Connection,
) -> None:
    """I4: it was woken while that was deferred, and waits behind it when it is due."""
    [held] = send(connection, 1)
    early, urgent = send(connection, 2, "key")
    slot, urgent_slot = evolve(ONE, group="0"), evolve(ONE, group="9", priority=9)
    assert acquire(connection, [held], slot) == [True]
    deliveries.defer(connection, early, ME, 2, NOW + 10)
    assert acquire(connection, [urgent], urgent_slot) == [False]
    limits.release(connection, [held])

    assert claimable(connection, NOW + 10) == [early, urgent]
    assert acquire(connection, [early], slot, worker=OTHER, now=NOW + 10) == [True]

    # Of a slot with another place as well.
    assert acquire(connection, [urgent], urgent_slot, worker=OTHER, now=NOW + 10) == [False]
    limits.release(connection, [early])
    deliveries.remove(connection, [early])
    assert claimable(connection, NOW + 10) == [urgent]
    assert acquire(connection, [urgent], urgent_slot, worker=OTHER, now=NOW + 10) == [True]


def test_a_slot_without_groups_makes_no_statement_for_them(connection: sqlite3.Connection) -> None:
    """A system without priorities pays nothing for those of others."""
    statements: list[str] = []
    first, second = send(connection, 2)
    connection.set_trace_callback(statements.append)

    assert acquire(connection, [first, second], ONE) == [True, False]
    limits.release(connection, [first])

    connection.set_trace_callback(None)
    assert statements
    assert not any("share" in statement for statement in statements)
