"""Advance: the turn that a resumable gets, and a first turn that is cancelled."""

from typing import Any

import orjson
import pytest
from attrs import evolve

from arvo import (
    Commit,
    Emit,
    Event,
    Fail,
    HistoryEntry,
    Record,
    System,
    SystemFault,
    Turn,
    replay,
)
from arvo.engine.history.revive import revived_record
from arvo.engine.step.advance import cancel_first_turn
from tests.family import begin, plan
from tests.shop import (
    NOW,
    WEB,
    BookShipment,
    CardCharged,
    ChargeCard,
    ShipmentBooked,
    expect_commit,
    fulfilment,
    make_workflow,
    order,
    order_request,
    reply_to,
)


def test_a_turn_has_its_event_and_the_source_of_it() -> None:
    """It is the event that started the workflow, a reply, or neither: a timer or a signal."""
    seen: list[Turn[Any]] = []

    def function(turn: Turn[Any]) -> Any:
        seen.append(turn)
        return [Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))] if turn.input else None

    system = System([make_workflow(function)])
    begun = expect_commit(system, order_request())
    assert begun.record is not None
    # As after a restart: the stored replies are read from JSON.
    pay, book = begun.events
    paid = expect_commit(system, reply_to(pay, CardCharged("r")), begun.record)
    assert paid.record is not None
    stored = Record.from_dict(orjson.loads(orjson.dumps(paid.record.to_dict())))
    expect_commit(system, reply_to(book, ShipmentBooked("t"), "a2"), stored)

    first, second, third = seen
    assert (first.input, first.service, first.collected) == (first.event, None, {})
    assert (second.input, second.service) == (None, second.event)
    assert (third.input, third.service) == (None, third.event)
    assert {
        kind: [reply.data for reply in replies] for kind, replies in third.collected.items()
    } == {
        "evt.payment.charged": [CardCharged("r")],
        "evt.shipping.booked": [ShipmentBooked("t")],
    }


BEGIN = order_request()
STOP: Event[Any] = evolve(
    order["1.0.0"].cancel("enough", source=WEB, subject=BEGIN.subject), id="stop"
)


def cancel(stored: Record | None = None, stop: Event[Any] = STOP) -> Any:
    """Cancel the order before its first turn."""
    return cancel_first_turn(fulfilment, stop, stored, NOW, init=BEGIN.id, parent=None)


def test_a_cancelled_first_turn_makes_a_record_and_the_error_to_the_initiator() -> None:
    """As if the workflow had been cancelled in its second turn, but none of its code runs."""
    commit = cancel()

    record = commit.record
    assert (commit.outcome, commit.event.id, commit.expected) == ("cancelled", "stop", 0)
    assert (record.status, record.init, record.consumed) == ("cancelled", BEGIN.id, "stop")
    assert (record.revision, record.state, record.timers) == (1, None, {})
    [error] = commit.events
    assert error.data == SystemFault("Cancelled", "enough")
    assert (error.to, error.parentid, error.type) == (
        WEB,
        BEGIN.id,
        "sys.arvo.orc.order.fulfil.error",
    )
    assert Record.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record


def test_after_a_cancelled_first_turn_both_events_change_nothing() -> None:
    """The event that would have started the workflow, and the cancellation, are delivered again."""
    system, record = System([fulfilment]), cancel().record

    assert expect_commit(system, BEGIN, record).outcome == "duplicate"
    # The inbox of the backend finds it first.
    assert expect_commit(system, STOP, record).outcome == "late"


def test_a_revived_workflow_is_cancelled_on_top_of_its_record() -> None:
    """It failed in its first turn, and an operator revived it."""
    system = System([make_workflow(lambda _: Fail("no"))])
    failed = expect_commit(system, BEGIN)
    assert failed.record is not None
    stored = revived_record(system, failed.record, [BEGIN, *failed.events])
    assert isinstance(stored, Record)

    commit = cancel(stored)

    assert (commit.expected, commit.record.revision) == (stored.revision, stored.revision + 1)
    assert (commit.record.revivals, commit.record.init) == (1, BEGIN.id)


def test_a_child_that_its_parent_cancels_before_its_first_turn_sends_no_error() -> None:
    """The parent has ended."""
    parent = begin(plan()).subject
    stop = evolve(STOP, data={"reason": "enough", "by": parent})

    commit = cancel_first_turn(fulfilment, stop, None, NOW, init=BEGIN.id, parent=parent)

    assert isinstance(commit, Commit)
    assert commit.record is not None
    assert (commit.record.parent, commit.events) == (parent, ())


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (evolve(STOP, data={}), "does not fit"),
        (evolve(STOP, dataschema="#/other/0.0.0"), "belongs to another workflow"),
        (evolve(STOP, subject="none"), "names no workflow"),
        (evolve(STOP, data={"reason": "enough", "by": "another"}), "is not from the parent"),
    ],
)
def test_a_cancellation_that_cannot_be_read_cancels_no_first_turn(
    stop: Event[Any], message: str
) -> None:
    """It is a violation, as for a workflow that has started."""
    assert message in str(cancel(stop=stop))


def test_a_cancelled_first_turn_is_replayed() -> None:
    """With the record, which names the event that would have started it."""
    commit = cancel()
    consumed = HistoryEntry(position=0, revision=1, kind="consumed", at=NOW, event=commit.event)
    [error] = commit.events
    produced = HistoryEntry(position=1, revision=1, kind="produced", at=NOW, event=error)
    history = [consumed, produced]

    assert replay(System([fulfilment]), history, record=commit.record).agrees
    alone = replay(System([fulfilment]), history)
    assert "cancelled the workflow before it started (pass record=)" in str(alone)
