"""Versions: a workflow of two versions, the second of which remembers and asks more."""

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
    """What both versions remember; the second wants a receipt by the end."""

    order_id: str
    receipt: str | None = None
    priority: int = 0


def first(turn: Turn[State]) -> Commands:
    """Charge, and complete with what was remembered."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            undo = Compensate(BookShipment(order_id))
            return Persist(State(order_id)), Emit(ChargeCard(order_id, 1.0)), undo
        case _:
            return Complete(OrderFulfilled("by the first"))


def second(turn: Turn[State]) -> Commands:
    """Charge, ship, and complete with both."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            return Persist(State(order_id)), Emit(ChargeCard(order_id, 1.0))
        case CardCharged(receipt=receipt):
            return Persist(evolve(turn.state, receipt=receipt)), Emit(BookShipment("o1"))
        case ShipmentBooked(tracking=tracking):
            return Complete(Paid(tracking, f"{turn.state.receipt} {turn.state.priority}"))
        case _:
            return None


def versions(**said: Any) -> Resumable[Any]:
    """Make the workflow of both versions."""
    functions: dict[str, Callable[[Turn[Any]], Any]] = {"1.0.0": first, "2.0.0": second}
    given: dict[str, Any] = {"services": SERVICES, "state": State, **said}
    return Resumable(two, functions, **given)


def moved(result: Any) -> Record:
    """Give the record of a migration that must succeed."""
    record: Record = result.unwrap()
    return record
