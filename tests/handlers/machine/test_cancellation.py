"""Cancellation: the last turn, compensations, signals and children of a machine's workflow."""

from typing import Any

from attrs import frozen

from arvo import (
    Cancellation,
    Compensate,
    Contract,
    Event,
    Fail,
    Machine,
    Orchestrator,
    OrchestratorContract,
    System,
    Version,
    Workflow,
    run,
)
from arvo.statechart import State, Transition, assign, emit
from tests.fulfilment import (
    machine_system,
    orchestrated_shop,
    orders_only,
    state_of,
)
from tests.handlers.machine.machines import BOOK, CHARGE, END
from tests.shop import (
    TIME,
    BookShipment,
    CardCharged,
    CardDeclined,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    expect_commit,
    order,
    order_request,
    reply_to,
)


def cancellation(first: Any) -> Event[Cancellation]:
    """Make the event that cancels the workflow of a commit."""
    return order["1.0.0"].cancel(
        "changed my mind", source="com.shop.web", id="c1", time=TIME, subject=first.record.subject
    )


def test_a_cancellation_ends_the_workflow_in_any_state() -> None:
    """The machine needs no transition for it."""
    first = expect_commit(orders_only, order_request())

    commit = expect_commit(orders_only, cancellation(first), first.record)

    assert commit.record is not None
    assert (commit.outcome, commit.record.status) == ("cancelled", "cancelled")
    assert [event.data.name for event in commit.events] == ["Cancelled"]
    assert state_of(commit.record) == "charging"
    assert commit.record.timers == {}


def test_a_machine_may_emit_events_when_it_is_cancelled() -> None:
    """In its last turn it emits events, then its compensations are sent; it does not complete."""
    system = machine_system(
        initial="a",
        on={Cancellation: ".end"},
        states={
            "a": State(
                entry=[CHARGE, emit(Compensate(BookShipment("undo")))], on={CardCharged: "end"}
            ),
            "end": State(type="final", entry=BOOK, output=OrderFulfilled("end")),
        },
    )
    first = expect_commit(system, order_request())

    commit = expect_commit(system, cancellation(first), first.record)

    assert [event.data for event in commit.events[:2]] == [BookShipment("o1"), BookShipment("undo")]
    assert [event.data.name for event in commit.events[2:]] == ["Cancelled"]
    assert commit.record is not None
    assert commit.record.status == "cancelled"
    assert state_of(commit.record) == "end"


def test_compensations_are_sent_when_the_workflow_fails() -> None:
    """The last one comes first."""
    system = machine_system(
        initial="a",
        states={
            "a": State(
                entry=[
                    CHARGE,
                    emit(Compensate(BookShipment("1"))),
                    emit(Compensate(BookShipment("2"))),
                ],
                on={CardDeclined: Transition(actions=emit(Fail("no")))},
            )
        },
    )
    first = expect_commit(system, order_request())

    commit = expect_commit(system, reply_to(first.events[0], CardDeclined("limit")), first.record)

    assert [event.data for event in commit.events[:2]] == [BookShipment("2"), BookShipment("1")]
    assert commit.events[2].data.message == "no"


@frozen
class Approve:
    by: str


approve = Contract(
    uri="#/approve", type="com.shop.approve", versions={"1.0.0": Version(accepts=Approve)}
)


def test_a_signal_is_an_event_like_any_other() -> None:
    """It comes from outside, and its payload class is its key."""
    system = machine_system(
        signals=[approve["1.0.0"]],
        initial="a",
        states={
            "a": State(on={Approve: Transition("end", lambda c, e: e.data.by == "ada")}),
            "end": END,
        },
    )
    first = expect_commit(system, order_request())
    assert first.record is not None
    signal = approve["1.0.0"].accepts(
        Approve("ada"),
        source="com.shop.office",
        id="s1",
        time=TIME,
        subject=first.record.subject,
        to="arvo.orc.order.fulfil",
    )

    commit = expect_commit(system, signal, first.record)

    assert [event.data for event in commit.events] == [OrderFulfilled("end")]


def test_a_machine_may_start_a_child_workflow() -> None:
    """An orchestrator is a service of another workflow."""
    parent_contract = OrchestratorContract(
        uri="#/parent",
        name="parent.all",
        versions={"1.0.0": Workflow(init=BookShipment, complete=ShipmentBooked)},
    )
    parent_machine = Machine(
        contract=parent_contract["1.0.0"],
        services=[order["1.0.0"]],
        initial="a",
        states={
            "a": State(
                entry=emit(lambda c, e: PlaceOrder(e.data.order_id)),
                on={OrderFulfilled: Transition("b", actions=assign(lambda c, e: e.data.tracking))},
            ),
            "b": State(type="final", output=lambda c, e: ShipmentBooked(c)),
        },
    )
    system = System([*orchestrated_shop.handlers, Orchestrator([parent_machine])])

    trace = run(system, parent_contract["1.0.0"].init(BookShipment("o7"), source="com.shop.web"))

    assert trace.answer is not None
    assert trace.answer.data == ShipmentBooked("t-o7")
