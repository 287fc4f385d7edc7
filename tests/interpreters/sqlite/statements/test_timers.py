"""Timers: fired when they are due, in order, and with the key of their workflow."""

import sqlite3
from datetime import timedelta

import pytest
from attrs import evolve

from arvo.core.commit import PendingTimer
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite.statements import deliveries, timers
from tests.interpreters.sqlite.statements.batches import ME, ORDER, OTHER, write_commit
from tests.shop import NOW, charge_request, expect_commit, order_request, shop


@pytest.mark.promise("I4")
def test_a_timer_has_the_key_of_its_workflow(connection: sqlite3.Connection) -> None:
    """I4: otherwise it would be delivered while another event of the workflow is processed."""
    commit = expect_commit(shop, order_request())
    timer = PendingTimer(evolve(commit.event, id="rings"), NOW)
    write_commit(connection, evolve(commit, timers=(timer,)))
    to = ToHandler(ORDER, order_request().subject)
    deliveries.send(connection, [Message(charge_request(), to)], 0, OTHER)
    due = timers.next_due(connection)
    assert due is not None

    timers.fire(connection, due - 1)
    early = deliveries.count(connection)
    timers.fire(connection, due)

    assert (early, deliveries.count(connection)) == (1, 2)
    assert deliveries.claim(connection, ME, {ORDER: 5}, due) == []
    assert deliveries.depth(connection, due - 1) == (2, 1, 0)
    assert due == int(NOW.timestamp() * 1000)


def test_timers_fire_in_batches_oldest_first(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was off for a week is not blocked by all of them."""
    monkeypatch.setattr("arvo.interpreters.sqlite.statements.timers.FIRE_MAX", 2)
    commit = expect_commit(shop, order_request())
    pending = [
        PendingTimer(evolve(commit.event, id=f"t{n}"), NOW + timedelta(seconds=n))
        for n in (2, 0, 1)
    ]
    write_commit(connection, evolve(commit, timers=tuple(pending)))

    timers.fire(connection, 10**15)

    claimed = deliveries.claim(connection, ME, {ORDER: 5}, 10**15)
    assert [row.message.event.id for row in claimed] == ["t0", "t1"]
    assert deliveries.depth(connection, 10**15) == (2, 0, 1)
