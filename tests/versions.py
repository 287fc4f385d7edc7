"""Versions: a workflow of two versions; the second one has more state and one more request."""

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from arvo import (
    Commands,
    Compensate,
    Complete,
    Emit,
    OrchestratorContract,
    Persist,
    Record,
    Resumable,
    Turn,
    Workflow,
)
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
)


@frozen
class Paid:
    tracking: str
    receipt: str


two = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order.fulfil",
    versions={
        "1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
        "2.0.0": Workflow(init=PlaceOrder, complete=Paid),
    },
)


@frozen
class State:
    """The state of both versions; the second needs a receipt to complete."""

    order_id: str
    receipt: str | None = None
    priority: int = 0


def first(turn: Turn[State]) -> Commands:
    """Charge the card, then complete."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            compensation = Compensate(BookShipment(order_id))
            return Persist(State(order_id)), Emit(ChargeCard(order_id, 1.0)), compensation
        case _:
            return Complete(OrderFulfilled("by the first"))


def second(turn: Turn[State]) -> Commands:
    """Charge the card, book the shipment, complete with the results of both."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            return Persist(State(order_id)), Emit(ChargeCard(order_id, 1.0))
        case CardCharged(receipt=receipt):
            return Persist(evolve(turn.state, receipt=receipt)), Emit(BookShipment("o1"))
        case ShipmentBooked(tracking=tracking):
            return Complete(Paid(tracking, f"{turn.state.receipt} {turn.state.priority}"))
        case _:
            return None


def versions(**options: Any) -> Resumable[Any]:
    """Make the workflow of both versions."""
    functions: dict[str, Callable[[Turn[Any]], Any]] = {"1.0.0": first, "2.0.0": second}
    arguments: dict[str, Any] = {"services": SERVICES, "state": State, **options}
    return Resumable(two, functions, **arguments)


def migrated_record(result: Any) -> Record:
    """Return the record of a migration that must succeed."""
    record: Record = result.unwrap()
    return record
