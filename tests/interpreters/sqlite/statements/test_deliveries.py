"""Deliveries: which worker owns them, and in which order they are claimed."""

import sqlite3

import pytest

from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite.statements import deliveries
from tests.interpreters.sqlite.statements.batches import ME, ORDER, OTHER, PAY, message, owners
from tests.shop import order_request


def test_a_worker_owns_what_it_sends_unless_another_is_ahead_with_the_key(
    connection: sqlite3.Connection,
) -> None:
    """It delivers them at once, without a query."""
    deliveries.send(connection, [message("busy")], 0, OTHER)
    deliveries.send(connection, [message("waits")], 0, None)
    deliveries.send(connection, [message("later")], 9, None)
    messages = [message("busy"), message("waits"), message("later"), message("free"), message(None)]

    owned = deliveries.send(connection, messages, 5, ME)
    again = deliveries.send(connection, [message("free")], 5, ME)
    unowned = deliveries.send(connection, [message("free"), message(None)], 5, None)

    assert [(row.message, row.attempt) for row in owned] == [
        (message("later"), 1),
        (message("free"), 1),
        (message(None), 1),
    ]
    assert (len(again), unowned) == (1, [])
    assert owners(connection) == [
        *(OTHER, None, None),
        *(None, None, ME, ME, ME),
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


def test_a_claim_takes_no_more_than_the_limit_of_each_queue(connection: sqlite3.Connection) -> None:
    """The rest is left to other workers."""
    deliveries.send(connection, [message(None, n) for n in range(3)], 0, None)
    begin = Message(order_request(), ToHandler(ORDER, None))
    deliveries.send(connection, [begin, begin], 0, None)

    claimed = deliveries.claim(connection, ME, {ORDER: 1, PAY: 2}, 0)

    assert [row.message.event.id for row in claimed] == ["c0", "c1", "i1"]
