"""Operations: a record is replaced with its journal, timers and events, or not at all."""

import sqlite3

import pytest
from attrs import evolve

from arvo.core.commit import PendingTimer
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.operations import Replacement
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import Committed, Conflict
from arvo.interpreters.sqlite.statements import deliveries, queries, timers
from arvo.interpreters.sqlite.statements.operations import replace_record
from tests.interpreters.sqlite.statements.batches import (
    ME,
    ORDER,
    begin_workflow,
    record_of,
)
from tests.shop import NOW, order_request


def entry(number: int) -> FrozenDict:
    return FrozenDict({"asked": number})


def test_a_replaced_record_takes_the_place_of_the_old_one(connection: sqlite3.Connection) -> None:
    """With its journal; its timers are set, and its events are sent to its own key."""
    for other in ("another", "third"):
        begin_workflow(connection, other)
    commit = begin_workflow(connection, "i1")
    record = evolve(record_of(commit), revision=2, status="active", journal=(entry(0), entry(1)))
    event = order_request("i1")
    timer = PendingTimer(evolve(event, id="rings"), NOW)
    to = ToHandler(ORDER, record.subject)

    longer = evolve(record, revision=2, journal=(entry(7), entry(8), entry(9)))
    assert replace_record(connection, Replacement(longer, 1), ME, 7) == (Committed(), [])
    record = evolve(record, revision=3)
    result, rows = replace_record(connection, Replacement(record, 2, [timer], [event]), ME, 7)

    assert result == Committed()
    assert [row.message for row in rows] == [Message(event, to)]
    assert queries.load(connection, record.subject) == record
    timers.fire(connection, timers.next_due(connection) or 0)
    claimed = deliveries.claim(connection, ME, {ORDER: 5}, 10**15)
    assert [row.message for row in claimed] == [Message(timer.event, to)]


@pytest.mark.parametrize("expected", [0, 2])
def test_a_record_that_has_changed_is_not_replaced(
    connection: sqlite3.Connection, expected: int
) -> None:
    """The conflict names the revision in the store, 0 for none."""
    commit = begin_workflow(connection, "i1")
    record = evolve(record_of(commit), revision=expected + 1)
    unknown = evolve(record, subject=order_request("i2").subject)

    changed = replace_record(connection, Replacement(record, expected), ME, 7)
    missing = replace_record(connection, Replacement(unknown, 0), ME, 7)

    assert changed == (Conflict(1), [])
    assert missing == (Conflict(0), [])
