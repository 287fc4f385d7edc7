"""Revive: a failed workflow goes on from its last good record."""

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
from arvo.engine.history.revive import revived
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    answering,
    committed,
    placing,
    refused,
    shop,
    workflow,
)


@attrs.define
class Weather:
    """Whether the workflow can do its work at the moment; and how it fails when it cannot."""

    bad: bool = True
    undoing: bool = False

    def turn(self, turn: Turn[Any]) -> Commands:
        if self.bad and (turn.input is None or not self.undoing):
            raise ConnectionError("the database is down")
        match turn.event.data:
            case PlaceOrder():
                undo = [Compensate(Emit(BookShipment("back")))] if self.undoing else []
                return Persist("charging"), Emit(ChargeCard("o1", 1.0)), *undo
            case CardCharged():
                return Persist("shipping"), Emit(BookShipment("o1"))
            case ShipmentBooked(tracking=tracking):
                return Complete(OrderFulfilled(tracking))
            case _:
                return Fail("unexpected")


def failed_on_a_reply(weather: Weather) -> tuple[System, Record, list[Event[Any]]]:
    """Give the system, the failed record, and the events of the turn that failed."""
    system = System([workflow(weather.turn)])
    weather.bad = weather.undoing
    begun = committed(system, placing())
    weather.bad = True
    answer = answering(begun.events[0], CardCharged("r"))
    failed = committed(system, answer, begun.record)
    weather.bad = False
    assert failed.record is not None
    assert failed.record.status == "failed"
    return system, failed.record, [answer, *failed.events]


def given(found: Record | Violation) -> Record:
    assert isinstance(found, Record), found
    return found


def begun_well(system: System) -> Record:
    record = committed(system, placing()).record
    assert record is not None
    return record


def test_a_revived_workflow_goes_on_as_if_it_had_not_failed() -> None:
    """B08: a database that was down for a minute ends no order for ever."""
    weather = Weather()
    system, record, turn = failed_on_a_reply(weather)

    again = committed(system, turn[0], given(revived(system, record, turn)))

    assert again.record is not None
    assert (again.record.status, again.record.state) == ("active", "shipping")
    assert again.record.revision == record.revision + 2
    assert [event.data for event in again.events] == [BookShipment("o1")]


def test_a_workflow_that_failed_in_its_first_turn_begins_anew() -> None:
    """Its last good record is none; the store's revision counts on all the same."""
    weather = Weather()
    system = System([workflow(weather.turn)])
    failed = committed(system, placing())
    weather.bad = False
    assert failed.record is not None
    found = given(revived(system, failed.record, [placing(), *failed.events]))

    again = committed(system, placing(), found)

    assert again.expected == 2
    assert again.record == evolve(
        begun_well(system),
        revision=3,
        revivals=1,
        pending_requests={again.events[0].id: ()},
        produced=(again.events[0].id,),
    )


def test_what_follows_a_revival_is_not_taken_for_what_the_failure_sent() -> None:
    """The initiator's inbox knows the system error's id: a completion of that id would be lost."""
    weather = Weather()
    system = System([workflow(weather.turn)])
    failed = committed(system, placing())
    weather.bad = False
    assert failed.record is not None
    found = given(revived(system, failed.record, [placing(), *failed.events]))

    again = committed(system, placing(), found)

    assert {event.id for event in again.events}.isdisjoint(event.id for event in failed.events)
    assert committed(system, placing(), found) == again


def test_a_cancellation_of_what_is_about_to_begin_anew_waits_for_it() -> None:
    """As one that overtakes the event which begins a workflow."""
    weather = Weather()
    system = System([workflow(weather.turn)])
    failed = committed(system, placing())
    assert failed.record is not None
    found = given(revived(system, failed.record, [placing(), *failed.events]))
    cancellation = (
        workflow(weather.turn)
        .contract["1.0.0"]
        .cancel("enough", source="com.shop.desk", subject=found.subject)
    )

    assert refused(system, cancellation, found).cause == "early"


def test_a_workflow_that_has_not_failed_is_not_revived() -> None:
    """Its event would be handed to it twice."""
    begun = committed(shop, placing())
    assert begun.record is not None

    assert str(revived(shop, begun.record, [placing()])) == (
        "this run of arvo.orc.order.fulfil has not failed: "
        "record.status: expected failed, got active"
    )


def test_without_the_event_that_it_failed_on_a_workflow_is_not_revived() -> None:
    """It would wait for ever, and look as if it were well."""
    system, record, _ = failed_on_a_reply(Weather())

    assert str(revived(system, record, [])).startswith(
        "the history does not reach back to the failure: history: expected event 'a1'"
    )


def test_what_was_undone_is_not_gone_on_from_by_mistake() -> None:
    """Else an order is shipped whose payment was given back."""
    system, record, turn = failed_on_a_reply(Weather(undoing=True))

    said = str(revived(system, record, turn))
    found = given(revived(system, record, turn, undone=True))

    assert said == (
        "the failure has undone what this run of arvo.orc.order.fulfil did "
        "(com.shipping.book): undone: expected True, where it may go on all the same, got False"
    )
    assert (found.status, found.failure, found.compensations) == ("active", None, ())


@pytest.mark.parametrize("times", [2, 3])
def test_a_workflow_may_fail_and_be_revived_again(times: int) -> None:
    """Each time with ids of its own."""
    weather = Weather()
    system = System([workflow(weather.turn)])
    record: Record | None = None
    sent: list[str] = []
    for _ in range(times):
        failed = committed(system, placing(), record)
        assert failed.record is not None
        sent += (event.id for event in failed.events)
        record = given(revived(system, failed.record, [placing(), *failed.events]))
    weather.bad = False

    again = committed(system, placing(), record)

    sent += (event.id for event in again.events)
    assert len(set(sent)) == times + 1
    assert again.record is not None
    assert again.record.revivals == times
