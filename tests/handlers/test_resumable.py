"""Resumable: a workflow, turn by turn."""

from typing import Any

import attrs
import pytest

from arvo import (
    Command,
    Complete,
    Emit,
    Fail,
    Persist,
    Record,
    Resumable,
    Subject,
    System,
    SystemFault,
    Turn,
    Violated,
)
from arvo.core.payloads.frozen_json import FrozenDict
from tests.shop import (
    WEB,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    OrderState,
    PlaceOrder,
    ShipmentBooked,
    expect_commit,
    expect_violation,
    fulfil,
    make_workflow,
    order,
    order_request,
    reply_to,
    shop,
)


def record_of(record: Record | None) -> Record:
    assert record is not None
    return record


def test_a_workflow_persists_sends_requests_and_completes() -> None:
    """All turns of one workflow, stepped by hand."""
    begun = expect_commit(shop, order_request())
    paid = expect_commit(shop, reply_to(begun.events[0], CardCharged("r")), begun.record)
    done = expect_commit(shop, reply_to(paid.events[0], ShipmentBooked("t"), "a2"), paid.record)

    assert [event.data for event in begun.events] == [ChargeCard("o1", 10.0)]
    assert [event.data for event in paid.events] == [BookShipment("o1")]
    (completion,) = done.events
    assert (completion.data, completion.to, completion.parentid) == (OrderFulfilled("t"), WEB, "i1")
    record = record_of(done.record)
    assert (record.status, record.revision, record.state) == (
        "done",
        3,
        {"order_id": "o1", "receipt": "r"},
    )


def test_a_missing_version_is_refused_at_construction() -> None:
    """The mistake is found before the first event."""
    with pytest.raises(Violated, match=r"handler\.1\.0\.0: expected a function for this version"):
        Resumable(order, {})
    with pytest.raises(Violated, match=r"handler\.9\.0\.0: expected one of 1\.0\.0"):
        Resumable(order, {"1.0.0": fulfil, "9.0.0": fulfil})


def test_an_init_event_delivered_twice_changes_nothing() -> None:
    """B05, a second init event: without this check every request would be sent twice."""
    begun = expect_commit(shop, order_request())

    again = expect_commit(shop, order_request(), begun.record)

    assert (again.outcome, again.record, again.events) == ("duplicate", None, ())


def test_another_init_event_of_the_same_run_is_refused() -> None:
    """It would start a workflow that already runs."""
    begun = expect_commit(shop, order_request())
    other = order_request("i2", subject=order_request().subject)

    assert "the workflow has already started" in str(expect_violation(shop, other, begun.record))


def collecting(turn: Turn[Any]) -> list[Command] | None:
    """Send three requests, and complete on two replies."""
    if turn.input is not None:
        return [Emit(ChargeCard(f"o{n}", 1.0)) for n in range(3)]
    charged = turn.collected.get("evt.payment.charged", ())
    return [Complete(OrderFulfilled(str(len(charged))))] if len(charged) == 2 else None


def test_an_answer_delivered_twice_is_collected_once() -> None:
    """B06, a redelivered reply: it does not count as the second of two approvals."""
    system = System([make_workflow(collecting)])
    begun = expect_commit(system, order_request())
    answer = reply_to(begun.events[0], CardCharged("r"))
    once = expect_commit(system, answer, begun.record)

    twice = expect_commit(system, answer, once.record)
    other = expect_commit(system, reply_to(begun.events[1], CardCharged("r"), "a2"), once.record)

    assert twice.outcome == "duplicate"
    assert [event.data for event in other.events] == [OrderFulfilled("2")]


def both(turn: Turn[Any]) -> Any:
    """Send two requests and, on the first reply, a third; wait for all three."""
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("a", 1.0)), Emit(BookShipment("b"))
        case CardCharged(receipt="a"):
            return Emit(ChargeCard("c", 1.0))
        case _:
            return Persist({name: len(events) for name, events in turn.collected.items()})


def test_a_request_is_pending_until_its_reply_arrives() -> None:
    """B07, forgotten requests: a turn that emits does not end the wait for earlier requests."""
    system = System([make_workflow(both)])
    begun = expect_commit(system, order_request())
    pay, book = begun.events
    charged = expect_commit(system, reply_to(pay, CardCharged("a")), begun.record)

    late = expect_commit(system, reply_to(book, ShipmentBooked("b"), "a2"), charged.record)

    assert list(record_of(charged.record).pending_requests) == [book.id, charged.events[0].id]
    assert record_of(late.record).state == {"evt.shipping.booked": 1}


@pytest.mark.promise("I9")
def test_a_failure_retains_the_state_and_records_the_reason() -> None:
    """I9; B08, B09, a lost state and an empty error: an operator needs both to revive the run."""
    system = System([make_workflow(failing, state=OrderState)])
    begun = expect_commit(system, order_request())

    failed = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), begun.record)

    record = record_of(failed.record)
    assert (failed.outcome, record.status) == ("failed", "failed")
    assert record.state == {"order_id": "o1", "receipt": None}
    assert record.failure == SystemFault(errorName="TimeoutError", errorMessage="db")
    assert record.pending_requests == record_of(begun.record).pending_requests
    assert Record.from_dict(record.to_dict()) == record
    (fault,) = failed.events
    assert (fault.type, fault.to) == ("sys.arvo.orc.order.fulfil.error", WEB)
    assert fault.data == record.failure


def failing(turn: Turn[OrderState]) -> Any:
    if turn.input is None:
        raise TimeoutError("db")
    return Persist(OrderState("o1")), Emit(ChargeCard("o1", 1.0))


def test_a_handler_cannot_change_the_persisted_state_in_place() -> None:
    """B14, a mutated state: a failed turn must leave the record as it was."""

    def meddling(turn: Turn[Any]) -> Any:
        if turn.input is not None:
            return Persist({"n": [1]}), Emit(ChargeCard("o1", 1.0))
        turn.state["n"].append(2)
        return None

    system = System([make_workflow(meddling)])
    begun = expect_commit(system, order_request())
    before = record_of(begun.record)

    failed = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), before)

    assert before.state == {"n": [1]}
    assert record_of(failed.record).failure == SystemFault(
        errorName="TypeError",
        errorMessage="an event's data cannot be changed: build a new list from it",
    )


def test_state_given_as_a_dict_is_copied() -> None:
    """B14: the handler may still change its own dict."""
    state: dict[str, list[int]] = {"n": [1]}
    begun = expect_commit(System([make_workflow(lambda _: Persist(state))]), order_request())

    state["n"].append(2)

    assert record_of(begun.record).state == {"n": [1]}


@pytest.mark.promise("I8")
def test_an_event_of_no_active_workflow_has_a_named_outcome() -> None:
    """I8; B15, dropped events: a sender and an operator can see why nothing happened."""
    begun = expect_commit(shop, order_request())
    answer = reply_to(begun.events[0], CardCharged("r"))
    failing_system = System([make_workflow(lambda _: Fail("no"))])
    declined = reply_to(begun.events[0], CardDeclined("limit"), key="a0")
    failed = expect_commit(failing_system, declined, record_of(begun.record))
    done = expect_commit(
        System([make_workflow(lambda _: Complete(OrderFulfilled("t")))]), order_request()
    )

    outcomes = {
        commit.outcome: commit.note
        for commit in (
            expect_commit(shop, answer, None),
            expect_commit(shop, order_request("again", subject=answer.subject), failed.record),
            expect_commit(shop, answer, done.record),
        )
    }

    assert outcomes == {
        "unknown_workflow": "no workflow with this subject has started",
        "workflow_failed": "the workflow failed: no",
        "late": "the workflow is done",
    }


@pytest.mark.promise("I8")
def test_an_event_of_another_workflows_subject_is_named() -> None:
    """I8: a misaddressed event is not dropped silently."""
    foreign = Subject.new("arvo.orc.other", "1.0.0", initiator=WEB, id="1")

    commit = expect_commit(shop, order_request(subject=str(foreign)))

    assert (commit.outcome, commit.note) == (
        "wrong_handler",
        "the subject belongs to arvo.orc.other",
    )


@pytest.mark.promise("I3")
def test_the_same_step_makes_the_same_events() -> None:
    """I3; B21, random ids: equal ids and child subjects let receivers find duplicates."""
    assert expect_commit(shop, order_request()) == expect_commit(shop, order_request())
    assert (
        expect_commit(shop, order_request()).events
        != expect_commit(shop, order_request("i2")).events
    )


@pytest.mark.promise("I5")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Persist(object()), "state: expected JSON data"),
        (Persist({1: 2}), "state: expected string keys"),
        (Emit(OrderFulfilled("t")), "to complete, return Complete"),
        (Emit({}, type="com.unknown.one"), "type: expected one of com.payment.charge"),
        (Emit({"order_id": 1}, type="com.payment.charge"), "data.order_id: expected a string"),
        (Emit(ChargeCard("o", 1.0), to=5), "to: expected an encoded URI or nothing, got 5"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), redirectto=5), "redirectto: expected"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), id=5), "id: expected a string"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), type=[]), "type: expected one of"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), domain=(5,)), "domain: expected"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), extensions={1: 2}), "extensions.1: expected"),  # type: ignore[dict-item]
        (Emit(ChargeCard("o", 1.0), extensions={"id": "x"}), "extensions.id: expected"),
        (Emit(ChargeCard("o", 1.0), executionunits=10**400), "executionunits: expected"),
        (Emit(ChargeCard("o", 1.0), id="\ud800"), "id: expected a string"),
        (Complete(ChargeCard("o", 1.0)), "expected an instance of OrderFulfilled"),
        ([Complete(OrderFulfilled("t")), Complete(OrderFulfilled("t"))], "one Complete, got two"),
    ],
)
def test_an_invalid_field_of_a_command_is_named(command: Any, message: str) -> None:
    """A command that no type checker has seen ends in a violation, and nothing changes (I5)."""
    assert message in str(
        expect_violation(System([make_workflow(lambda _: command)]), order_request())
    )


def test_the_persisted_state_must_still_fit_its_class() -> None:
    """A class that changed while the workflow ran is a violation, not a wrong state."""
    begun = expect_commit(shop, order_request("i1"))
    changed = attrs.evolve(record_of(begun.record), state=FrozenDict({"other": 1}))

    violation = expect_violation(shop, reply_to(begun.events[0], CardCharged("r")), changed)

    assert "state.order_id: expected a value (required), got nothing" in str(violation)
