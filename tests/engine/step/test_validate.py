"""Vet: what is wrong with an event, seen before any step takes it."""

import pytest
from attrs import evolve

from arvo import Event
from arvo.engine.step.validate import vet
from tests.shop import CardCharged, answering, charging, committed, placing, refused, shop

BEGUN = committed(shop, placing())
REPLY = answering(BEGUN.events[0], CardCharged("r"))


@pytest.mark.parametrize("event", [placing(), charging(), REPLY], ids=["init", "service", "reply"])
def test_what_a_step_may_take_is_let_pass(event: Event[object]) -> None:
    """The door is no stricter than the house."""
    assert vet(shop, event, BEGUN.record if event is REPLY else None) is None


@pytest.mark.parametrize(
    "event",
    [
        evolve(charging(), to="com.no.one"),
        Event.from_dict({**charging().to_dict(), "data": {"order_id": 1}}),
        evolve(placing(), subject="junk"),
        evolve(placing(), dataschema=None),
        evolve(charging(), type="com.other.type"),
    ],
    ids=["address", "payload", "subject", "dataschema", "type"],
)
def test_what_is_refused_is_what_a_step_would_refuse(event: Event[object]) -> None:
    """Whoever sends it reads what an operator would read."""
    assert vet(shop, event, None) == refused(shop, event)


def test_the_version_is_the_one_that_the_workflow_is_on() -> None:
    """A workflow that was moved takes what its new version takes, whatever its subject says."""
    assert BEGUN.record is not None
    moved = evolve(BEGUN.record, version="9.9.9")

    violation = vet(shop, REPLY, moved)

    assert violation == refused(shop, REPLY, moved)
    assert "arvo.orc.order.fulfil has no such version" in str(violation)


def test_a_workflow_that_has_not_begun_is_on_the_version_of_its_subject() -> None:
    """One that was revived after its first turn failed waits for the event that begins it."""
    assert BEGUN.record is not None
    assert vet(shop, placing(), evolve(BEGUN.record, version="9.9.9", init="")) is None
