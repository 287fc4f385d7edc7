"""Migrate: what it takes to move a flow, and an orchestrator."""

from collections.abc import Callable
from typing import Any

from attrs import frozen
from returns.result import Success

from arvo import (
    Event,
    Flow,
    FlowHandler,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Record,
    System,
    Workflow,
    ask,
    flow,
    flows,
    migrate,
)
from arvo.statechart import State, emit
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    answering,
    committed,
    placing,
)

two = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order.fulfil",
    versions={
        "1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
        "2.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
    },
)
Script = Callable[[Event[PlaceOrder]], Flow[OrderFulfilled]]


def script(order_id: str, tracking: str) -> Script:
    """Make a flow that charges for one order, and completes with what it was given."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ask(ChargeCard(order_id, event.data.amount), CardCharged, CardDeclined)
        yield from ask(BookShipment(order_id), ShipmentBooked)
        return OrderFulfilled(tracking)

    return fulfil


def both(old: Script, new: Script) -> FlowHandler[PlaceOrder, OrderFulfilled]:
    return flows(
        flow(two, "1.0.0", services=SERVICES)(old), flow(two, "2.0.0", services=SERVICES)(new)
    )


def halfway(handler: Any) -> tuple[Record, Event[Any]]:
    """Let a workflow of the first version pay, and give its record and its next request."""
    system = System([handler])
    begun = committed(system, placing())
    paid = committed(system, answering(begun.events[0], CardCharged("r")), begun.record)
    assert paid.record is not None
    return paid.record, paid.events[0]


def test_a_flow_moves_where_its_journal_leads_to_the_same_place() -> None:
    """What follows may differ; the record is what it was, but for its version."""
    handler = both(script("o1", "old"), script("o1", "new"))
    record, asked = halfway(handler)

    moved = migrate(handler, record, to="2.0.0")

    assert isinstance(moved, Success)
    now = moved.unwrap()
    assert (now.version, now.revision) == ("2.0.0", record.revision + 1)
    assert (now.state, now.journal) == (record.state, record.journal)
    end = committed(System([handler]), answering(asked, ShipmentBooked("t"), key="a2"), now)
    assert end.events[0].data == OrderFulfilled("new")


def test_a_flow_that_would_ask_for_other_things_stays() -> None:
    """It says which line of the journal does not fit."""
    handler = both(script("o1", "old"), script("another", "new"))

    refused = migrate(handler, halfway(handler)[0], to="2.0.0").failure()

    assert refused.issues[0].path == "journal[0]"
    assert '"order_id":"o1"' in refused.issues[0].expected


def test_a_flows_variables_are_no_state_to_map() -> None:
    """They are what its journal makes them."""
    handler = both(script("o1", "old"), script("o1", "new"))

    refused = migrate(handler, halfway(handler)[0], to="2.0.0", state=dict).failure()

    assert refused.issues[0].path == "state"
    assert "what its journal makes them" in refused.issues[0].expected
    assert refused.issues[0].got == "one"


@frozen
class Newer:
    """What begins the workflow in its second version."""

    order_id: str
    amount: float = 10.0
    currency: str = "EUR"


def test_a_flow_is_begun_anew_by_what_its_new_version_reads() -> None:
    """Its script sees the class that it was written for."""
    newer: OrchestratorContract[Any, Any] = OrchestratorContract(
        uri="#/orchestrators/order",
        name="order.fulfil",
        versions={
            "1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
            "2.0.0": Workflow(init=Newer, complete=OrderFulfilled),
        },
    )

    def fulfil(event: Event[Newer]) -> Flow[OrderFulfilled]:
        assert event.data.currency == "EUR"
        yield from ask(ChargeCard("o1", event.data.amount), CardCharged, CardDeclined)
        yield from ask(BookShipment("o1"), ShipmentBooked)
        return OrderFulfilled("new")

    handler: FlowHandler[Any, Any] = flows(
        flow(newer, "1.0.0", services=SERVICES)(script("o1", "old")),
        flow(newer, "2.0.0", services=SERVICES)(fulfil),
    )

    assert isinstance(migrate(handler, halfway(handler)[0], to="2.0.0"), Success)


def machine(version: str, shipping: str) -> Machine[Any]:
    return Machine(
        contract=two[version],
        services=SERVICES,
        initial="charging",
        output=OrderFulfilled(shipping),
        states={
            "charging": State(
                entry=emit(ChargeCard("o1", 1.0)), on={CardCharged: shipping, CardDeclined: "done"}
            ),
            shipping: State(entry=emit(BookShipment("o1")), on={ShipmentBooked: "done"}),
            "done": State(type="final"),
        },
    )


def test_an_orchestrator_moves_where_the_new_chart_has_its_states() -> None:
    """What is remembered then carries the hash of the new chart."""
    handler = Orchestrator([machine("1.0.0", "shipping"), machine("2.0.0", "shipping")])
    record, asked = halfway(handler)

    moved = migrate(handler, record, to="2.0.0").unwrap()

    assert handler.query(moved).value == "shipping"
    end = committed(System([handler]), answering(asked, ShipmentBooked("t"), key="a2"), moved)
    assert end.events[0].data == OrderFulfilled("shipping")


def test_an_orchestrator_whose_state_is_gone_is_mapped_or_stays() -> None:
    """The function sees what is remembered as JSON."""
    handler = Orchestrator([machine("1.0.0", "shipping"), machine("2.0.0", "packing")])
    record, _ = halfway(handler)

    refused = migrate(handler, record, to="2.0.0").failure()
    moved = migrate(
        handler,
        record,
        to="2.0.0",
        state=lambda it: {
            **it,
            "value": "packing",
            "leaves": [leaf.replace("shipping", "packing") for leaf in it["leaves"]],
        },
    ).unwrap()

    odd = migrate(handler, record, to="2.0.0", state=lambda _: object()).failure()

    assert "shipping" in str(refused)
    assert [issue.path for issue in odd.issues] == ["state"]
    assert handler.query(moved).value == "packing"
    assert isinstance(moved.state, dict)
    assert isinstance(record.state, dict)
    assert moved.state["chart"] != record.state["chart"]
