"""Shop: the workflow, the service and the contracts that the benchmarks share."""

from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from arvo import (
    Commands,
    Complete,
    Contract,
    Emit,
    Event,
    EventHandler,
    OrchestratorContract,
    Persist,
    Resumable,
    System,
    Turn,
    Version,
    Workflow,
)


@frozen
class ChargeCard:
    order_id: str
    amount: float


@frozen
class CardCharged:
    receipt: str


@frozen
class PlaceOrder:
    order_id: str
    amount: float


@frozen
class OrderPaid:
    receipt: str


@frozen
class OrderState:
    order_id: str


charge = Contract(
    uri="#/contracts/payment/charge",
    type="com.payment.charge",
    versions={"1.0.0": Version(accepts=ChargeCard, emits={"evt.payment.charged": CardCharged})},
)
order = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order.fulfil",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderPaid)},
)


def pay(event: Event[ChargeCard]) -> Emit:
    return Emit(CardCharged(f"r-{event.data.order_id}"))


def fulfil(turn: Turn[OrderState]) -> Commands:
    match turn.event.data:
        case PlaceOrder(order_id=order_id, amount=amount):
            return Persist(OrderState(order_id)), Emit(ChargeCard(order_id, amount))
        case CardCharged(receipt=receipt):
            return Complete(OrderPaid(receipt))
        case _:
            return None


system = System(
    [
        EventHandler(charge, {"1.0.0": pay}),
        Resumable(order, {"1.0.0": fulfil}, services=[charge["1.0.0"]], state=OrderState),
    ]
)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def reply(contract: Contract[Any], request: Event[Any], payload: object) -> Event[Any]:
    """Make the reply of a service to a request of a workflow."""
    return contract["1.0.0"].emits(
        payload,
        source=contract.type,
        subject=request.subject,
        to=request.redirectto,
        parentid=request.id,
    )
