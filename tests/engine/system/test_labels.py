"""Labels: what the functions of each kind of handler make of a workflow's state."""

from typing import Any

import pytest

from arvo import (
    Commands,
    Complete,
    Emit,
    Event,
    Fail,
    Flow,
    Machine,
    Orchestrator,
    Persist,
    Record,
    Resumable,
    System,
    Turn,
    ask,
    flow,
    migrate,
    run,
)
from arvo.engine.system.labels import labels_of
from arvo.statechart import State
from tests.shop import (
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    OrderState,
    PlaceOrder,
    expect_commit,
    expect_violation,
    fulfil,
    order,
    order_request,
    payments,
    shipping,
)


def labelled(labels: Any) -> Resumable[OrderState]:
    return Resumable(order, {"1.0.0": fulfil}, services=SERVICES, state=OrderState, labels=labels)


def final_record(handler: Any) -> Record:
    trace = run(System([payments, shipping, handler]), order_request())
    return trace.records[order_request().subject]


def test_a_resumable_is_labelled_by_its_state() -> None:
    """Computed with each commit, so that a list shows the newest."""
    handler = labelled(lambda state: {"order": state.order_id, "paid": state.receipt is not None})

    first = expect_commit(System([handler]), order_request()).record

    assert first is not None
    assert first.labels == {"order": "o1", "paid": False}
    assert final_record(handler).labels == {"order": "o1", "paid": True}
    assert Record.from_dict(first.to_dict()) == first


def test_a_flow_is_labelled_by_the_payload_that_it_began_with() -> None:
    """Its variables would take a replay in each turn."""

    @flow(order, "1.0.0", services=SERVICES, labels=lambda request: {"order": request.order_id})
    def pays(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ask(ChargeCard("o1", 1.0), CardCharged)
        return OrderFulfilled("t")

    assert final_record(pays).labels == {"order": "o1"}


def test_an_orchestrator_is_labelled_by_its_snapshot() -> None:
    """By the active state, which the author need not copy to the context."""
    machine = Machine(
        contract=order["1.0.0"],
        context=lambda event: {"order": event.data.order_id},
        initial="waiting",
        states={"waiting": State()},
    )
    handler = Orchestrator(
        [machine],
        labels=lambda snapshot: {"at": snapshot.value, "order": snapshot.context["order"]},
    )

    record = expect_commit(System([handler]), order_request()).record

    assert record is not None
    assert record.labels == {"at": "waiting", "order": "o1"}


def test_a_workflow_without_a_state_has_no_labels() -> None:
    """The function takes a state."""
    handler = Resumable(
        order, {"1.0.0": lambda _: Complete(OrderFulfilled("t"))}, services=[], labels=dict
    )

    assert final_record(handler).labels == {}


def test_a_failure_keeps_the_labels() -> None:
    """Those of the last good turn, whose state the record has."""

    def fails(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, PlaceOrder):
            return Persist({"order": "o1"}), Emit(ChargeCard("o1", 1.0))
        return Fail("no stock")

    handler = Resumable(
        order, {"1.0.0": fails}, services=SERVICES, labels=lambda state: {"order": state["order"]}
    )
    record = final_record(handler)

    assert (record.status, record.labels) == ("failed", {"order": "o1"})
    assert labels_of(handler, record) == record.labels


@pytest.mark.parametrize(("first", "second"), [(1, True), (False, 0), (1, "1")])
def test_a_label_may_change_its_type(first: Any, second: Any) -> None:
    """True equals 1 in Python, but not in a list of workflows."""
    handler = labelled(lambda state: {"paid": second if state.receipt else first})

    [paid] = final_record(handler).labels.values()

    assert (type(paid), paid) == (type(second), second)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            lambda state: state.nothing,
            "labels: expected a function that takes this state",
        ),
        (lambda state: {"order": [state.order_id]}, "labels.order: expected a string, number"),
    ],
)
def test_labels_that_are_wrong_are_a_violation(labels: Any, message: str) -> None:
    """Nothing changes; an author can mend the function, and the event is delivered again."""
    violation = expect_violation(System([labelled(labels)]), order_request())

    assert message in str(violation)
    assert "the labels of arvo.orc.order.fulfil are invalid" in str(violation)


def test_a_migration_computes_the_labels_anew() -> None:
    """From the new state."""
    handler = labelled(lambda state: {"order": state.order_id})
    record = expect_commit(System([handler]), order_request()).record
    assert record is not None

    moved = migrate(handler, record, to="1.0.0", state=lambda _: OrderState("o2")).unwrap()

    assert moved.labels == {"order": "o2"}
