"""Chains: written whole or not at all."""

import sqlite3

import pytest

from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.claims import Token
from arvo.interpreters.delivery.codec import StoredMessage
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.sqlite.statements import deliveries
from arvo.interpreters.sqlite.statements.chains import write_chains
from tests.interpreters.sqlite.statements.batches import ME, ORDER, OTHER, owners, record_of
from tests.shop import CardCharged, expect_commit, order_request, reply_to, shop


@pytest.mark.promise("I6")
@pytest.mark.parametrize("lost", [0, 1])
def test_a_chain_of_which_another_worker_owns_a_delivery_is_refused(
    connection: sqlite3.Connection, lost: int
) -> None:
    """I6: whichever of its messages; the other worker processes it."""
    first = expect_commit(shop, order_request())
    second = expect_commit(shop, reply_to(first.events[0], CardCharged("r")), record_of(first))
    to = ToHandler(ORDER, first.event.subject)
    messages = [Message(commit.event, to) for commit in (first, second)]
    rows = deliveries.send(connection, messages, 0, ME)
    chain = CommitChain(
        message=messages[0],
        deliveries=tuple(Delivery(row.message, 1, Token(ME, row.id)) for row in rows),
        commits=(first, second),
    )
    give(connection, rows[lost], OTHER)

    assert write_chains(connection, [chain], ME, ME, 1) == ([False], [])

    assert sorted(map(str, owners(connection))) == [ME, OTHER]
    assert connection.execute("select count(*) from workflow").fetchone() == (0,)
    assert connection.execute("select count(*) from inbox").fetchone() == (0,)
    give(connection, rows[lost], ME)
    assert write_chains(connection, [chain], ME, ME, 1) == ([True], [])
    assert owners(connection) == []
    assert connection.execute("select revision from workflow").fetchone() == (2,)


def give(connection: sqlite3.Connection, row: StoredMessage, owner: str) -> None:
    connection.execute("update delivery set owner = ? where id = ?", (owner, row.id))
