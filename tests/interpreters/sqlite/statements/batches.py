"""Batches: commits as tests write them to a file."""

import sqlite3
from typing import Any

from arvo import Commit, Event, Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import Committed
from arvo.interpreters.sqlite.statements import deliveries
from arvo.interpreters.sqlite.statements.write_batch import WriteBatch, Written, write
from tests.shop import charge_request, expect_commit, order_request, shop

ME, OTHER = "me", "other"
ORDER, PAY = "arvo.orc.order.fulfil", "com.payment.charge"


def message(key: str | None, number: int = 0) -> Message:
    return Message(charge_request(f"c{number}"), ToHandler(PAY, key))


def owners(connection: sqlite3.Connection) -> list[str | None]:
    return [owner for (owner,) in connection.execute("select owner from delivery order by id")]


def deliver(connection: sqlite3.Connection, event: Event[Any]) -> int:
    """Send an event that ME owns, and return the id of its delivery."""
    (row,) = deliveries.send(connection, [Message(event, ToHandler(PAY, None))], 0, ME)
    return row.id


def write_commit(connection: sqlite3.Connection, commit: Commit, *messages: Message) -> Written:
    """Deliver the event of a commit to ME, and write the commit."""
    batch = WriteBatch(
        worker_id=ME,
        delivery_id=deliver(connection, commit.event),
        commit=commit,
        messages=messages,
        claim_own=True,
    )
    return write(connection, batch, ME, 5)


def begin_workflow(connection: sqlite3.Connection, key: str) -> Commit:
    """Write the first commit of a workflow."""
    commit = expect_commit(shop, order_request(key))
    assert write_commit(connection, commit) == Written(Committed())
    return commit


def record_of(commit: Commit) -> Record:
    assert commit.record is not None
    return commit.record
