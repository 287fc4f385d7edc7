"""Doors: which events from outside may enter a system."""

from typing import Any

import pytest
from attrs import evolve

from arvo import ContractViolation, Emit, Event, Record, Subject, System
from arvo.engine.step.doors import (
    check_outside,
    claimed_workflows,
    find_id_conflict,
    record_subject,
)
from tests.shop import (
    CardCharged,
    ChargeCard,
    PlaceOrder,
    charge_request,
    expect_commit,
    expect_violation,
    make_workflow,
    order,
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


def test_a_workflow_that_has_not_started_has_no_begin_to_conflict_with() -> None:
    """An operator revived it after its first turn failed; its client may begin it again."""
    assert BEGUN.record is not None
    again = order["1.0.0"].init(PlaceOrder("o"), source="com.shop.web", workflow_id="order-1")

    assert find_id_conflict(BEGUN.record, again) is not None
    assert find_id_conflict(evolve(BEGUN.record, init="", init_digest=""), again) is None


PARENT = str(Subject.parse(BEGUN.events[0].subject))
ELSEWHERE = str(Subject.new("arvo.orc.elsewhere", "1.0.0", initiator="com.shop.x", id="e"))


@pytest.mark.promise("I12")
@pytest.mark.parametrize(
    ("event", "field"),
    [
        (evolve(charge_request(), source=order.type), "source"),
        (evolve(charge_request(), redirectto=order.type), "redirectto"),
        (
            order["1.0.0"].init(PlaceOrder("o"), source="com.x", parent=PARENT),
            "subject.execution.initiator",
        ),
        (
            order_request(
                subject=str(Subject.new(order.type, "1.0.0", initiator=order.type, id="i"))
            ),
            "subject.execution.initiator",
        ),
    ],
)
def test_no_outsider_speaks_for_a_workflow_of_this_system(event: Event[Any], field: str) -> None:
    """I12: the handler would answer in its own name, to a workflow that asked for nothing."""
    refused = check_outside(shop, event, None)

    assert isinstance(refused, ContractViolation)
    assert [issue.path for issue in refused.issues] == [field]


def test_a_workflow_elsewhere_may_begin_one_here() -> None:
    """It is the parent, and gets the completion; unless another worker here serves it."""
    event = order["1.0.0"].init(PlaceOrder("o"), source="arvo.orc.elsewhere", parent=ELSEWHERE)

    assert claimed_workflows(event) == ("arvo.orc.elsewhere",) * 4
    assert check_outside(shop, event, None) is None
    assert check_outside(shop, event, None, {"arvo.orc.elsewhere"}) is not None


@pytest.mark.promise("I12")
def test_a_request_that_names_an_open_one_as_its_parent_is_no_answer() -> None:
    """I12: else its answer would go to the workflow, as the reply to a request of its choice."""
    (request,) = BEGUN.events
    forged = evolve(
        charge_request("inner", subject=request.subject, redirectto=order.type),
        source=request.type,
        parentid=request.id,
    )

    refused = check_outside(shop, forged, BEGUN.record)

    assert refused is not None
    assert [issue.path for issue in refused.issues] == ["redirectto"]


def test_a_request_that_left_by_a_domain_may_come_back() -> None:
    """A listener sends it to a handler of this system."""
    (request,) = BEGUN.events

    assert record_subject(shop, request) == BEGUN.event.subject
    assert check_outside(shop, request, BEGUN.record) is None
    assert check_outside(shop, evolve(request, id="another"), BEGUN.record) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "com.mallory.web"},
        {"redirectto": "com.mallory.web"},
        {"data": {"order_id": "o2", "amount": 10.0}},
        {"data": {"order_id": "o1", "amount": 10.0, "unknown": 1}},
        {"domain": "elsewhere"},
        {"parentid": "another"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_event_by_the_id_of_the_begin_is_a_conflict(changes: dict[str, Any]) -> None:
    """Its sender believes that it has begun a workflow, and another sender has."""
    other = Event.from_dict({**order_request().to_dict(), **changes})

    violation = expect_violation(shop, other, BEGUN.record)

    assert violation.message == "another event with this id was consumed"
    assert [issue.path for issue in violation.issues] == ["id"]


def test_the_same_event_once_more_is_a_duplicate() -> None:
    """A client that lost its connection sends it again, with another time and trace."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    again = evolve(order_request(), time="2026-02-03T04:05:06Z", traceparent=trace)

    assert expect_commit(shop, again, BEGUN.record).outcome == "duplicate"


def test_an_event_of_a_handler_by_the_same_id_stays_a_duplicate() -> None:
    """A handler that is repeated after a crash may emit other content by the same id."""
    record = BEGUN.record
    assert record is not None
    changed = {"order_id": "o2", "amount": 10.0}

    for source in (payments.source, "arvo.orc.elsewhere"):
        repeated = Event.from_dict({**order_request().to_dict(), "source": source, "data": changed})
        assert expect_commit(shop, repeated, record).outcome == "duplicate"


def test_a_record_of_an_earlier_version_has_no_conflict() -> None:
    """It has no digest to compare."""
    assert BEGUN.record is not None
    content = BEGUN.record.to_dict()
    del content["init_digest"]
    other = evolve(order_request(), source="com.mallory.web")

    assert expect_commit(shop, other, Record.from_dict(content)).outcome == "duplicate"
