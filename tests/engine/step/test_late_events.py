"""Late: what comes to a workflow after it has ended, and what of it a revival needs."""

from typing import Any

import attrs
import pytest

from arvo import (
    Commands,
    Commit,
    Compensate,
    Emit,
    Event,
    Fail,
    Flow,
    Persist,
    Record,
    ServiceFailed,
    System,
    Turn,
    ask,
    flow,
    gather,
)
from arvo.engine.history.revive import replies_after_failure, revived_record
from arvo.engine.step import termination
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    expect_commit,
    expect_violation,
    make_workflow,
    order,
    order_request,
    reply_to,
)


@flow(order, "1.0.0", services=SERVICES)
def both(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Charge and ship at once; a charge of another receipt raises."""

    def pay() -> Flow[str]:
        charged = yield from ask(ChargeCard("o1", 1.0), CardCharged)
        if charged.receipt == "bad":
            raise ValueError(charged.receipt)
        return charged.receipt

    receipt, booked = yield from gather(pay(), ask(BookShipment("o1"), ShipmentBooked))
    return OrderFulfilled(f"{receipt} {booked.tracking}")


def two_requests(turn: Turn[None]) -> Commands:
    """Charge and ship at once; a reply that the payment sends fails."""
    if turn.input is not None:
        return Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))
    return Fail("no money") if isinstance(turn.event.data, CardCharged) else None


def record_of(commit: Commit) -> Record:
    assert commit.record is not None
    return commit.record


def fault_of(request: Event[Any]) -> Event[Any]:
    """Make the system error of a service."""
    contract = next(service for service in SERVICES if service.type == request.type)
    return contract.system_error(
        ValueError("no"),
        source=request.type,
        id=f"fault of {request.type}",
        time=request.time,
        subject=request.subject,
        parentid=request.id,
        to=request.redirectto,
    )


def fail_on_the_charge(system: System) -> tuple[Record, Event[Any], Commit]:
    """Return the failed record, the request whose reply is to come, and the commit that failed."""
    begun = expect_commit(system, order_request())
    charge, ship = begun.events
    failed = expect_commit(system, reply_to(charge, CardCharged("bad")), begun.record)
    assert record_of(failed).status == "failed"
    return record_of(failed), ship, failed


@pytest.mark.parametrize("handler", [both, make_workflow(two_requests)])
def test_a_reply_that_comes_after_the_failure_is_retained_and_is_no_dead_letter(
    handler: Any,
) -> None:
    """Its branch lost the `gather`; a revived workflow needs it."""
    system = System([handler])
    failed, ship, turn = fail_on_the_charge(system)
    booked = reply_to(ship, ShipmentBooked("t"), key="a2")

    retained = expect_commit(system, booked, failed)

    assert (retained.outcome, retained.expected, retained.events) == ("late", failed.revision, ())
    assert record_of(retained) == attrs.evolve(
        failed,
        revision=failed.revision + 1,
        replies=failed.replies.add(booked),
        late_replies=1,
    )
    assert Record.from_dict(record_of(retained).to_dict()) == record_of(retained)
    again = expect_commit(system, booked, record_of(retained))
    assert (again.outcome, again.record) == ("duplicate", None)
    assert replies_after_failure(record_of(retained)) == (booked,)
    revived = revived_record(system, record_of(retained), [turn.event, *turn.events])
    assert isinstance(revived, Record)
    assert (revived.replies, revived.late_replies) == (failed.replies, 0)


def test_a_flow_keeps_one_reply_for_a_request() -> None:
    """Revived, it would ignore the second one."""
    system = System([both])
    failed, ship, _ = fail_on_the_charge(system)
    retained = expect_commit(system, reply_to(ship, ShipmentBooked("t"), key="a2"), failed)

    second = expect_commit(system, reply_to(ship, ShipmentBooked("u"), key="a3"), retained.record)

    assert (second.outcome, second.record, second.note) == ("late", None, "the workflow is failed")


def test_a_reply_that_no_open_request_of_the_last_good_turn_waits_for_is_late() -> None:
    """A revived workflow would not wait for it either."""
    system = System([both])
    failed, ship, _ = fail_on_the_charge(system)
    unrelated = attrs.evolve(reply_to(ship, ShipmentBooked("t"), key="a2"), parentid="none")

    commit = expect_commit(system, unrelated, failed)

    assert (commit.outcome, commit.record) == ("late", None)


def test_a_reply_of_another_service_is_a_violation_after_a_failure_too() -> None:
    """Otherwise a revival would deliver what an active workflow refuses."""
    system = System([both])
    failed, ship, _ = fail_on_the_charge(system)
    forged = reply_to(ship, ShipmentBooked("t"), key="a2", source="com.mallory")

    violation = expect_violation(system, forged, failed)

    assert [issue.path for issue in violation.issues] == ["source"]


def test_the_replies_that_a_failed_workflow_keeps_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service that answers for ever would let the record grow; the next one is a dead letter."""
    monkeypatch.setattr(termination, "PENDING_REQUESTS_MAX", 2)
    system = System([make_workflow(two_requests)])
    record, ship, _ = fail_on_the_charge(system)
    for key in ("a2", "a3"):
        record = record_of(expect_commit(system, reply_to(ship, ShipmentBooked("t"), key), record))

    refused = expect_commit(system, reply_to(ship, ShipmentBooked("t"), key="a4"), record)

    assert (refused.outcome, refused.record) == ("workflow_failed", None)
    assert refused.note == "the workflow failed, and has kept 2 replies since"


def test_an_event_that_needs_an_active_workflow_waits_for_an_operator() -> None:
    """A begin and the failure of a compensation: nothing else would show them."""

    def compensating(turn: Turn[None]) -> Commands:
        if turn.input is None:
            return Fail("no money")
        return Emit(ChargeCard("o1", 1.0)), Compensate(Emit(BookShipment("back")))

    system = System([make_workflow(compensating)])
    begun = expect_commit(system, order_request())
    failed = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), begun.record)
    compensation = next(event for event in failed.events if event.type == "com.shipping.book")

    for event in (
        order_request("again", subject=begun.event.subject),
        fault_of(attrs.evolve(compensation, redirectto=order.type)),
    ):
        refused = expect_commit(system, event, failed.record)
        assert (refused.outcome, refused.record) == ("workflow_failed", None)
        assert refused.note == "the workflow failed: no money"


def test_further_replies_of_an_answered_request_count_after_a_revival() -> None:
    """A service may reply more than once; the failure in between must not end that."""

    def progress(turn: Turn[int]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Persist(0), Emit(ChargeCard("o1", 1.0))
            case CardCharged(receipt="bad"):
                return Fail("no money")
            case CardCharged():
                return Persist(turn.state + 1), Emit(BookShipment("o1"))
            case _:
                return None

    system = System([make_workflow(progress)])
    begun = expect_commit(system, order_request())
    [charge] = begun.events
    first = expect_commit(system, reply_to(charge, CardCharged("r"), key="a1"), begun.record)
    failed = expect_commit(system, reply_to(charge, CardCharged("bad"), key="a2"), first.record)
    further = reply_to(charge, CardCharged("s"), key="a3")
    retained = expect_commit(system, further, failed.record)
    revived = revived_record(system, record_of(retained), [failed.event, *failed.events])
    assert isinstance(revived, Record)

    commit = expect_commit(system, further, revived)

    assert (record_of(failed).status, record_of(retained).late_replies) == ("failed", 1)
    assert (commit.outcome, record_of(commit).state) == ("handled", 2)


def test_the_failure_of_a_service_is_retained_like_any_other_reply() -> None:
    """A flow may catch it."""

    @flow(order, "1.0.0", services=SERVICES)
    def lenient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        def ship() -> Flow[str]:
            try:
                booked = yield from ask(BookShipment("o1"), ShipmentBooked)
            except ServiceFailed:
                return "none"
            return booked.tracking

        _, tracking = yield from gather(ask(ChargeCard("o1", 1.0), CardCharged), ship())
        raise ValueError(tracking)

    system = System([lenient])
    begun = expect_commit(system, order_request())
    charge, ship = begun.events
    failed = expect_commit(system, fault_of(charge), begun.record)

    retained = expect_commit(system, fault_of(ship), failed.record)

    assert (retained.outcome, record_of(retained).late_replies) == ("late", 1)
