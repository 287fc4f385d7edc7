"""Doors: which events from outside may enter a system."""

import pytest
from attrs import evolve

from arvo import Emit, Event, System
from arvo.engine.step.doors import check_outside
from tests.shop import (
    CardCharged,
    ChargeCard,
    charge_request,
    expect_commit,
    expect_violation,
    make_workflow,
    order_request,
    payments,
    reply_to,
)

begin = make_workflow(lambda _: Emit(ChargeCard("o1", 1), domain="bank"))
shop = System([payments, begin])
BEGUN = expect_commit(shop, order_request())
REPLY = reply_to(BEGUN.events[0], CardCharged("r"))


@pytest.mark.parametrize(
    "event", [order_request(), charge_request(), REPLY], ids=["init", "service", "reply"]
)
def test_an_event_that_a_step_accepts_is_valid(event: Event[object]) -> None:
    """An entry point must not be stricter than the handler."""
    assert check_outside(shop, event, BEGUN.record if event is REPLY else None) is None


@pytest.mark.parametrize(
    "event",
    [
        evolve(charge_request(), to="com.no.one"),
        Event.from_dict({**charge_request().to_dict(), "data": {"order_id": 1}}),
        evolve(order_request(), subject="junk"),
        evolve(order_request(), dataschema=None),
        evolve(charge_request(), type="com.other.type"),
    ],
    ids=["address", "payload", "subject", "dataschema", "type"],
)
def test_an_invalid_event_has_the_violation_of_a_step(event: Event[object]) -> None:
    """The sender reads the message that an operator would read."""
    assert check_outside(shop, event, None) == expect_violation(shop, event)


def test_a_migrated_workflow_accepts_the_events_of_its_new_version() -> None:
    """The record names the version; the subject still names the old one."""
    assert BEGUN.record is not None
    moved = evolve(BEGUN.record, version="9.9.9")

    violation = check_outside(shop, REPLY, moved)

    assert violation == expect_violation(shop, REPLY, moved)
    assert "arvo.orc.order.fulfil has no such version" in str(violation)


def test_a_workflow_that_has_not_started_is_on_the_version_of_its_subject() -> None:
    """A workflow revived after its first turn failed waits for the event that starts it."""
    assert BEGUN.record is not None
    assert (
        check_outside(shop, order_request(), evolve(BEGUN.record, version="9.9.9", init="")) is None
    )
