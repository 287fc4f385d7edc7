"""Revive: let a failed workflow continue from its last good record."""

from typing import Any

import attrs
import pytest
from attrs import evolve

from arvo import (
    Commands,
    Compensate,
    Complete,
    Emit,
    Event,
    Fail,
    Persist,
    Record,
    System,
    Turn,
    Violation,
)
from arvo.core.requests import SentRequest
from arvo.engine.history.revive import revived_record
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    charge,
    expect_commit,
    expect_violation,
    make_workflow,
    order_request,
    reply_to,
    shop,
)


@attrs.define
class Outage:
    """A workflow whose database is *down*; with *compensates*, its first turn still succeeds."""

    down: bool = True
    compensates: bool = False

    def turn(self, turn: Turn[Any]) -> Commands:
        if self.down and (turn.input is None or not self.compensates):
            raise ConnectionError("the database is down")
        match turn.event.data:
            case PlaceOrder():
                compensation = [Compensate(Emit(BookShipment("back")))] if self.compensates else []
                return Persist("charging"), Emit(ChargeCard("o1", 1.0)), *compensation
            case CardCharged():
                return Persist("shipping"), Emit(BookShipment("o1"))
            case ShipmentBooked(tracking=tracking):
                return Complete(OrderFulfilled(tracking))
            case _:
                return Fail("unexpected")


def failed_on_a_reply(outage: Outage) -> tuple[System, Record, list[Event[Any]]]:
    """Return the system, the failed record, and the events of the turn that failed."""
    system = System([make_workflow(outage.turn)])
    outage.down = outage.compensates
    begun = expect_commit(system, order_request())
    outage.down = True
    answer = reply_to(begun.events[0], CardCharged("r"))
    failed = expect_commit(system, answer, begun.record)
    outage.down = False
    assert failed.record is not None
    assert failed.record.status == "failed"
    return system, failed.record, [answer, *failed.events]


def expect_record(result: Record | Violation) -> Record:
    assert isinstance(result, Record), result
    return result


def first_record(system: System) -> Record:
    record = expect_commit(system, order_request()).record
    assert record is not None
    return record


def test_a_revived_workflow_continues_as_if_it_had_not_failed() -> None:
    """B08: a database that was down for a minute must not end an order forever."""
    outage = Outage()
    system, record, turn = failed_on_a_reply(outage)

    again = expect_commit(system, turn[0], expect_record(revived_record(system, record, turn)))

    assert again.record is not None
    assert (again.record.status, again.record.state) == ("active", "shipping")
    assert again.record.revision == record.revision + 2
    assert [event.data for event in again.events] == [BookShipment("o1")]


def test_a_workflow_that_failed_in_its_first_turn_starts_again() -> None:
    """It has no last good record, but the revision of the store still counts."""
    outage = Outage()
    system = System([make_workflow(outage.turn)])
    failed = expect_commit(system, order_request())
    outage.down = False
    assert failed.record is not None
    record = expect_record(revived_record(system, failed.record, [order_request(), *failed.events]))

    again = expect_commit(system, order_request(), record)

    assert again.expected == 2
    assert again.record == evolve(
        first_record(system),
        revision=3,
        revivals=1,
        pending_requests={
            again.events[0].id: SentRequest(charge.type, charge.type, charge["1.0.0"].dataschema)
        },
        produced=(again.events[0].id,),
    )


def test_events_after_a_revival_have_other_ids_than_those_of_the_failure() -> None:
    """The initiator's inbox would drop a completion with the id of the system error."""
    outage = Outage()
    system = System([make_workflow(outage.turn)])
    failed = expect_commit(system, order_request())
    outage.down = False
    assert failed.record is not None
    record = expect_record(revived_record(system, failed.record, [order_request(), *failed.events]))

    again = expect_commit(system, order_request(), record)

    assert {event.id for event in again.events}.isdisjoint(event.id for event in failed.events)
    assert expect_commit(system, order_request(), record) == again


def test_a_cancellation_of_a_workflow_that_starts_again_waits_for_it() -> None:
    """It is like a cancellation that overtakes the init event."""
    outage = Outage()
    system = System([make_workflow(outage.turn)])
    failed = expect_commit(system, order_request())
    assert failed.record is not None
    record = expect_record(revived_record(system, failed.record, [order_request(), *failed.events]))
    cancellation = (
        make_workflow(outage.turn)
        .contract["1.0.0"]
        .cancel("enough", source="com.shop.web", subject=record.subject)
    )

    assert expect_violation(system, cancellation, record).cause == "early"


def test_a_workflow_that_has_not_failed_is_not_revived() -> None:
    """It would handle its event twice."""
    begun = expect_commit(shop, order_request())
    assert begun.record is not None

    assert str(revived_record(shop, begun.record, [order_request()])) == (
        "this run of arvo.orc.order.fulfil has not failed: "
        "record.status: expected failed, got active"
    )


def test_a_workflow_is_not_revived_without_the_event_on_which_it_failed() -> None:
    """It would wait forever and look healthy."""
    system, record, _ = failed_on_a_reply(Outage())

    assert str(revived_record(system, record, [])).startswith(
        "the history no longer holds the turn that failed: history: expected event 'a1'"
    )


def test_a_compensated_workflow_is_revived_only_on_request() -> None:
    """Otherwise an order ships whose payment was refunded."""
    system, record, turn = failed_on_a_reply(Outage(compensates=True))

    message = str(revived_record(system, record, turn))
    revived = expect_record(revived_record(system, record, turn, after_compensation=True))

    assert message == (
        "this run of arvo.orc.order.fulfil has compensated already (com.shipping.book): "
        "after_compensation: expected True, to continue in spite of it, got False"
    )
    assert (revived.status, revived.failure, revived.compensations) == ("active", None, ())


@pytest.mark.parametrize("times", [2, 3])
def test_a_workflow_may_fail_and_be_revived_again(times: int) -> None:
    """The events of each failure have their own ids."""
    outage = Outage()
    system = System([make_workflow(outage.turn)])
    record: Record | None = None
    sent: list[str] = []
    for _ in range(times):
        failed = expect_commit(system, order_request(), record)
        assert failed.record is not None
        sent += (event.id for event in failed.events)
        record = expect_record(
            revived_record(system, failed.record, [order_request(), *failed.events])
        )
    outage.down = False

    again = expect_commit(system, order_request(), record)

    sent += (event.id for event in again.events)
    assert len(set(sent)) == times + 1
    assert again.record is not None
    assert again.record.revivals == times
