"""Deliveries: which worker owns them, and in which order they are claimed."""

import sqlite3
from collections.abc import Callable

import pytest

from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite.statements import deliveries
from arvo.interpreters.sqlite.statements.workers import deregister
from tests.interpreters.sqlite.statements.batches import ME, ORDER, OTHER, PAY, message, owners
from tests.shop import order_request


def return_by_a_dead_worker(
    connection: sqlite3.Connection,
    returned: Message,
    due: int,
    change: Callable[[sqlite3.Connection, int, str, int, int], bool],
) -> None:
    """Send a message, and let a worker return it until *due* and die."""
    (row,) = deliveries.send(connection, [returned], 0, "dead")
    assert change(connection, row.id, "dead", 2, due)
    deregister(connection, "dead")


def test_a_worker_owns_what_it_sends_unless_another_is_ahead_with_the_key(
    connection: sqlite3.Connection,
) -> None:
    """It delivers them at once, without a query."""
    deliveries.send(connection, [message("busy")], 0, OTHER)
    deliveries.send(connection, [message("waits")], 0, None)
    return_by_a_dead_worker(connection, message("later"), 9, deliveries.nack)
    return_by_a_dead_worker(connection, message("early"), 9, deliveries.defer)
    keys = ("busy", "waits", "later", "early", "free", None)
    messages = [message(key) for key in keys]

    owned = deliveries.send(connection, messages, 5, ME)
    again = deliveries.send(connection, [message("free")], 5, ME)
    unowned = deliveries.send(connection, [message("free"), message(None)], 5, None)

    assert [(row.message, row.attempt) for row in owned] == [
        (message("early"), 1),
        (message("free"), 1),
        (message(None), 1),
    ]
    assert (len(again), unowned) == (1, [])
    assert owners(connection) == [
        *(OTHER, None, None, None),
        *(None, None, None, ME, ME, ME),
        *(ME, None, None),
    ]


@pytest.mark.promise("I4")
def test_a_key_of_another_worker_is_not_claimed(connection: sqlite3.Connection) -> None:
    """I4: its messages are delivered one at a time and in order, by any worker."""
    deliveries.send(connection, [message("busy")], 0, OTHER)
    deliveries.send(
        connection,
        [message("busy"), message("free", 1), message(None, 2), message("late", 3)],
        0,
        None,
    )
    connection.execute("update delivery set due = 9 where key = 'late'")

    claimed = deliveries.claim(connection, ME, {PAY: 5, ORDER: 5}, 5)

    assert [row.message.event.id for row in claimed] == ["c1", "c2"]
    assert deliveries.claim(connection, ME, {PAY: 5}, 5) == []


@pytest.mark.promise("I4")
def test_a_returned_delivery_of_a_dead_worker_stays_the_first_of_its_key(
    connection: sqlite3.Connection,
) -> None:
    """I4: those behind it are claimed with it when it is due, and those of other keys before."""
    return_by_a_dead_worker(connection, message("a", 1), 9, deliveries.nack)
    deliveries.send(connection, [message("a", 2), message("b", 3), message("a", 4)], 0, None)

    before = deliveries.claim(connection, ME, {PAY: 5}, 8)
    after = deliveries.claim(connection, ME, {PAY: 5}, 9)

    assert [(row.message.event.id, row.attempt) for row in before] == [("c3", 1)]
    assert [(row.message.event.id, row.attempt) for row in after] == [
        ("c1", 2),
        ("c2", 1),
        ("c4", 1),
    ]


def test_a_returned_delivery_holds_back_no_other_queue(connection: sqlite3.Connection) -> None:
    """Perhaps no process serves the queue of the first."""
    return_by_a_dead_worker(connection, message("a", 1), 9, deliveries.nack)
    deliveries.send(connection, [Message(order_request(), ToHandler(ORDER, "a"))], 0, None)

    claimed = deliveries.claim(connection, ME, {ORDER: 5}, 5)

    assert [row.message.event.id for row in claimed] == ["i1"]


def test_a_deferred_delivery_belongs_to_no_worker_and_holds_back_none(
    connection: sqlite3.Connection,
) -> None:
    """When it is due, any worker claims it, and it comes before those that were sent after it."""
    (row,) = deliveries.send(connection, [message("a", 1)], 0, OTHER)
    deliveries.send(connection, [message("a", 2)], 0, None)

    assert deliveries.defer(connection, row.id, OTHER, 2, 9)
    assert not deliveries.defer(connection, row.id, OTHER, 3, 9)

    assert [each.message.event.id for each in deliveries.claim(connection, ME, {PAY: 5}, 8)] == [
        "c2"
    ]
    deliveries.send(connection, [message("a", 3)], 8, None)
    again = deliveries.claim(connection, ME, {PAY: 5}, 9)
    assert [(each.message.event.id, each.attempt) for each in again] == [("c1", 2), ("c3", 1)]


def test_a_deferred_delivery_that_was_delivered_again_holds_back_the_others(
    connection: sqlite3.Connection,
) -> None:
    """It is an ordinary delivery from then on."""
    return_by_a_dead_worker(connection, message("a", 1), 9, deliveries.defer)
    (row,) = deliveries.claim(connection, ME, {PAY: 5}, 9)
    deliveries.nack(connection, row.id, ME, 3, 20)
    deregister(connection, ME)
    deliveries.send(connection, [message("a", 2)], 9, None)

    assert deliveries.claim(connection, ME, {PAY: 5}, 19) == []


def test_a_claim_takes_no_more_than_the_limit_of_each_queue(connection: sqlite3.Connection) -> None:
    """The rest is left to other workers."""
    deliveries.send(connection, [message(None, n) for n in range(3)], 0, None)
    begin = Message(order_request(), ToHandler(ORDER, None))
    deliveries.send(connection, [begin, begin], 0, None)

    claimed = deliveries.claim(connection, ME, {ORDER: 1, PAY: 2}, 0)

    assert [row.message.event.id for row in claimed] == ["c0", "c1", "i1"]
