"""Migrate: move flows and orchestrators to another version."""

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
    expect_commit,
    order_request,
    reply_to,
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
    """Make a flow that charges for *order_id* and completes with *tracking*."""

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
    """Run the first version until it has paid; return its record and its next request."""
    system = System([handler])
    begun = expect_commit(system, order_request())
    paid = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), begun.record)
    assert paid.record is not None
    return paid.record, paid.events[0]


def test_a_flow_moves_if_its_journal_leads_to_the_same_requests() -> None:
    """The code after them may differ. Only version and revision of the record change."""
    handler = both(script("o1", "old"), script("o1", "new"))
    record, request = halfway(handler)

    moved = migrate(handler, record, to="2.0.0")

    assert isinstance(moved, Success)
    now = moved.unwrap()
    assert (now.version, now.revision) == ("2.0.0", record.revision + 1)
    assert (now.state, now.journal) == (record.state, record.journal)
    end = expect_commit(System([handler]), reply_to(request, ShipmentBooked("t"), key="a2"), now)
    assert end.events[0].data == OrderFulfilled("new")


def test_a_flow_that_would_send_other_requests_is_refused() -> None:
    """The issue names the journal entry that does not fit."""
    handler = both(script("o1", "old"), script("another", "new"))

    refused = migrate(handler, halfway(handler)[0], to="2.0.0").failure()

    assert refused.issues[0].path == "journal[0]"
    assert '"order_id":"o1"' in refused.issues[0].expected


def test_the_variables_of_a_flow_cannot_be_mapped() -> None:
    """They follow from the journal."""
    handler = both(script("o1", "old"), script("o1", "new"))

    refused = migrate(handler, halfway(handler)[0], to="2.0.0", state=dict).failure()

    assert refused.issues[0].path == "state"
    assert "the variables of a flow follow from its journal" in refused.issues[0].expected
    assert refused.issues[0].got == "a function"


@frozen
class Newer:
    """The init payload of the second version."""

    order_id: str
    amount: float = 10.0
    currency: str = "EUR"


def test_a_flow_starts_again_with_the_init_payload_of_its_new_version() -> None:
    """The function gets the class that it was written for."""
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


def test_an_orchestrator_moves_if_the_new_chart_has_its_states() -> None:
    """The stored snapshot then has the hash of the new chart."""
    handler = Orchestrator([machine("1.0.0", "shipping"), machine("2.0.0", "shipping")])
    record, request = halfway(handler)

    moved = migrate(handler, record, to="2.0.0").unwrap()

    assert handler.query(moved).value == "shipping"
    end = expect_commit(System([handler]), reply_to(request, ShipmentBooked("t"), key="a2"), moved)
    assert end.events[0].data == OrderFulfilled("shipping")


def test_an_orchestrator_whose_state_is_gone_needs_a_mapping() -> None:
    """The function gets the snapshot as JSON."""
    handler = Orchestrator([machine("1.0.0", "shipping"), machine("2.0.0", "packing")])
    record, _ = halfway(handler)

    refused = migrate(handler, record, to="2.0.0").failure()
    moved = migrate(
        handler,
        record,
        to="2.0.0",
        state=lambda snapshot: {
            **snapshot,
            "value": "packing",
            "leaves": [leaf.replace("shipping", "packing") for leaf in snapshot["leaves"]],
        },
    ).unwrap()

    invalid = migrate(handler, record, to="2.0.0", state=lambda _: object()).failure()

    assert "shipping" in str(refused)
    assert [issue.path for issue in invalid.issues] == ["state"]
    assert handler.query(moved).value == "packing"
    assert isinstance(moved.state, dict)
    assert isinstance(record.state, dict)
    assert moved.state["chart"] != record.state["chart"]
