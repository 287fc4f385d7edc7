"""Resumable: a workflow turn by turn."""

from typing import Any

import pytest

from arvo import (
    Command,
    Complete,
    Emit,
    Event,
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
    answering,
    committed,
    fulfil,
    order,
    placing,
    refused,
    shop,
    workflow,
)


def record_of(record: Record | None) -> Record:
    assert record is not None
    return record


def test_a_workflow_remembers_asks_and_completes() -> None:
    """The whole walk of one workflow, by hand."""
    begun = committed(shop, placing())
    paid = committed(shop, answering(begun.events[0], CardCharged("r")), begun.record)
    done = committed(shop, answering(paid.events[0], ShipmentBooked("t"), "a2"), paid.record)

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
    """F158, F087."""
    with pytest.raises(Violated, match=r"handler\.1\.0\.0: expected a function for this version"):
        Resumable(order, {})
    with pytest.raises(Violated, match=r"handler\.9\.0\.0: expected one of 1\.0\.0"):
        Resumable(order, {"1.0.0": fulfil, "9.0.0": fulfil})


def test_an_init_event_delivered_twice_changes_nothing() -> None:
    """B05: the reference runs it again, and asks everybody twice."""
    begun = committed(shop, placing())

    again = committed(shop, placing(), begun.record)

    assert (again.outcome, again.record, again.events) == ("duplicate", None, ())


def test_another_init_event_of_the_same_run_is_refused() -> None:
    """It would begin what is under way."""
    begun = committed(shop, placing())
    other = placing("i2", subject=placing().subject)

    assert "the workflow has begun already" in str(refused(shop, other, begun.record))


def collecting(turn: Turn[Any]) -> list[Command] | None:
    """Ask three times, and complete when two have answered."""
    if turn.input is not None:
        return [Emit(ChargeCard(f"o{n}", 1.0)) for n in range(3)]
    charged = turn.collected.get("evt.payment.charged", ())
    return [Complete(OrderFulfilled(str(len(charged))))] if len(charged) == 2 else None


def test_an_answer_delivered_twice_is_collected_once() -> None:
    """B06: waiting for two approvals is not fooled by a redelivery."""
    system = System([workflow(collecting)])
    begun = committed(system, placing())
    answer = answering(begun.events[0], CardCharged("r"))
    once = committed(system, answer, begun.record)

    twice = committed(system, answer, once.record)
    other = committed(system, answering(begun.events[1], CardCharged("r"), "a2"), once.record)

    assert twice.outcome == "duplicate"
    assert [event.data for event in other.events] == [OrderFulfilled("2")]


def both(turn: Turn[Any]) -> Any:
    """Ask two; the answer of the first asks a third; all three are awaited."""
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("a", 1.0)), Emit(BookShipment("b"))
        case CardCharged(receipt="a"):
            return Emit(ChargeCard("c", 1.0))
        case _:
            return Persist({name: len(events) for name, events in turn.collected.items()})


def test_a_request_is_awaited_until_it_is_answered() -> None:
    """B07: the reference forgets the others as soon as a turn emits."""
    system = System([workflow(both)])
    begun = committed(system, placing())
    pay, book = begun.events
    asked = committed(system, answering(pay, CardCharged("a")), begun.record)

    late = committed(system, answering(book, ShipmentBooked("b"), "a2"), asked.record)

    assert list(record_of(asked.record).pending_requests) == [book.id, asked.events[0].id]
    assert record_of(late.record).state == {"evt.shipping.booked": 1}


def test_a_failure_keeps_the_state_and_says_why() -> None:
    """B08, B09, I9: the reference replaces everything by an error that is empty as JSON."""
    system = System([workflow(failing, state=OrderState)])
    begun = committed(system, placing())

    failed = committed(system, answering(begun.events[0], CardCharged("r")), begun.record)

    record = record_of(failed.record)
    assert (failed.outcome, record.status) == ("failed", "failed")
    assert record.state == {"order_id": "o1", "receipt": None}
    assert record.failure == SystemFault(errorName="TimeoutError", errorMessage="db")
    assert record.pending_requests == record_of(begun.record).pending_requests
    assert Record.from_dict(record.to_dict()) == record
    (told,) = failed.events
    assert (told.type, told.to) == ("sys.arvo.orc.order.fulfil.error", WEB)
    assert told.data == record.failure


def failing(turn: Turn[OrderState]) -> Any:
    if turn.input is None:
        raise TimeoutError("db")
    return Persist(OrderState("o1")), Emit(ChargeCard("o1", 1.0))


def test_a_handler_cannot_change_what_is_remembered_behind_our_back() -> None:
    """B14: an aborted turn leaves no trace."""

    def meddling(turn: Turn[Any]) -> Any:
        if turn.input is not None:
            return Persist({"n": [1]}), Emit(ChargeCard("o1", 1.0))
        turn.state["n"].append(2)
        return None

    system = System([workflow(meddling)])
    begun = committed(system, placing())
    before = record_of(begun.record)

    failed = committed(system, answering(begun.events[0], CardCharged("r")), before)

    assert before.state == {"n": [1]}
    assert record_of(failed.record).failure == SystemFault(
        errorName="TypeError",
        errorMessage="an event's data cannot be changed: build a new list from it",
    )


def test_state_given_as_a_dict_is_copied() -> None:
    """B14: the handler goes on with its own."""
    kept: dict[str, list[int]] = {"n": [1]}
    begun = committed(System([workflow(lambda _: Persist(kept))]), placing())

    kept["n"].append(2)

    assert record_of(begun.record).state == {"n": [1]}


def test_late_stray_and_halted_events_are_named() -> None:
    """B15, I8: the reference says a line in a log and forgets them."""
    begun = committed(shop, placing())
    answer = answering(begun.events[0], CardCharged("r"))
    failing_system = System([workflow(lambda _: Fail("no"))])
    declined = answering(begun.events[0], CardDeclined("limit"), key="a0")
    failed = committed(failing_system, declined, record_of(begun.record))
    done = committed(System([workflow(lambda _: Complete(OrderFulfilled("t")))]), placing())

    outcomes = {
        each.outcome: each.note
        for each in (
            committed(shop, answer, None),
            committed(shop, answer, failed.record),
            committed(shop, answer, done.record),
        )
    }

    assert outcomes == {
        "unknown_workflow": "no such workflow has begun",
        "workflow_failed": "the workflow failed: no",
        "late": "the workflow is done",
    }


def test_an_event_of_another_workflows_subject_is_named() -> None:
    """F112, I8."""
    foreign = Subject.new("arvo.orc.other", "1.0.0", initiator=WEB, id="1")

    commit = committed(shop, placing(subject=str(foreign)))

    assert (commit.outcome, commit.note) == (
        "wrong_handler",
        "the subject belongs to arvo.orc.other",
    )


def test_the_same_step_makes_the_same_events() -> None:
    """B21, I3: also the subject of a child, so that duplicates are found downstream."""
    assert committed(shop, placing()) == committed(shop, placing())
    assert committed(shop, placing()).events != committed(shop, placing("i2")).events


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (Persist(object()), "state: expected JSON data"),
        (Persist({1: 2}), "state: expected keys that are texts"),
        (Emit(OrderFulfilled("t")), "to complete, return Complete"),
        (Emit({}, type="com.unknown.one"), "type: expected one of com.payment.charge"),
        (Emit({"order_id": 1}, type="com.payment.charge"), "data.order_id: expected a string"),
        (Emit(ChargeCard("o", 1.0), to=5), "to: expected an encoded URI or nothing, got 5"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), redirectto=5), "redirectto: expected"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), id=5), "id: expected a text"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), type=[]), "type: expected one of"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), domain=(5,)), "domain: expected"),  # type: ignore[arg-type]
        (Emit(ChargeCard("o", 1.0), extensions={1: 2}), "extensions.1: expected"),  # type: ignore[dict-item]
        (Emit(ChargeCard("o", 1.0), extensions={"id": "x"}), "extensions.id: expected"),
        (Emit(ChargeCard("o", 1.0), executionunits=10**400), "executionunits: expected"),
        (Emit(ChargeCard("o", 1.0), id="\ud800"), "id: expected a text"),
        (Complete(ChargeCard("o", 1.0)), "expected an instance of OrderFulfilled"),
        ([Complete(OrderFulfilled("t")), Complete(OrderFulfilled("t"))], "one Complete, got two"),
    ],
)
def test_what_a_command_may_not_say_is_named(command: Any, told: str) -> None:
    """A command that mypy has not seen ends in a violation, and nothing changes (I5)."""
    assert told in str(refused(System([workflow(lambda _: command)]), placing()))


def test_what_was_persisted_must_still_fit_its_class() -> None:
    """A class that changed under a running workflow is found, not guessed at."""
    begun = committed(System([workflow(lambda _: Persist({"other": 1}))]), placing())
    event: Event[Any] = placing("i1")
    answer = answering(committed(shop, event).events[0], CardCharged("r"))

    violation = refused(shop, answer, begun.record)

    assert "state.order_id: expected a value (required), got nothing" in str(violation)
