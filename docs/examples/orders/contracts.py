"""Contracts: what the shop's services accept and emit, and what starts and completes an order."""

from typing import Annotated, Literal

from annotated_types import Gt, Interval, Len
from attrs import frozen

from arvo import Contract, OrchestratorContract, Pattern, Version, Workflow

# Declared once; error messages, validation and the exported JSON Schema follow from it.
OrderId = Annotated[str, Pattern("^ord-[0-9]{4,}$")]
Country = Annotated[str, Pattern("^[A-Z]{2}$")]
Cents = Annotated[int, Gt(0)]
Outcome = Literal["shipped", "out of stock", "declined"]


@frozen
class Item:
    sku: Annotated[str, Len(1, 40)]
    quantity: Annotated[int, Interval(ge=1, le=99)]


@frozen
class PlaceOrder:
    """One line of the orders file. The total is the price that the customer saw."""

    order_id: OrderId
    customer: Annotated[str, Len(1, 40)]
    card: Annotated[str, Len(4, 40)]
    country: Country
    items: Annotated[tuple[Item, ...], Len(1, 50)]
    total_cents: Cents


@frozen
class OrderClosed:
    order_id: OrderId
    outcome: Outcome
    note: str


@frozen
class PickItems:
    order_id: OrderId
    items: Annotated[tuple[Item, ...], Len(1, 50)]


@frozen
class ItemsPicked:
    price_cents: Cents
    grams: Annotated[int, Gt(0)]


@frozen
class OutOfStock:
    sku: str


@frozen
class ChargeCard:
    order_id: OrderId
    card: str
    amount_cents: Cents


@frozen
class CardCharged:
    receipt: str


@frozen
class CardDeclined:
    reason: str


@frozen
class BookShipment:
    order_id: OrderId
    country: Country
    grams: Annotated[int, Gt(0)]


@frozen
class ShipmentBooked:
    tracking: Annotated[str, Pattern("^[A-Z]{2}[0-9]{8}$")]


order = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order.fulfil",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderClosed)},
)

pick = Contract(
    uri="#/contracts/warehouse/pick",
    type="com.warehouse.pick",
    versions={
        "1.0.0": Version(
            accepts=PickItems,
            emits={"evt.warehouse.picked": ItemsPicked, "evt.warehouse.short": OutOfStock},
        )
    },
)

charge = Contract(
    uri="#/contracts/payment/charge",
    type="com.payment.charge",
    versions={
        "1.0.0": Version(
            accepts=ChargeCard,
            emits={"evt.payment.charged": CardCharged, "evt.payment.declined": CardDeclined},
        )
    },
)

book = Contract(
    uri="#/contracts/shipping/book",
    type="com.shipping.book",
    versions={
        "1.0.0": Version(accepts=BookShipment, emits={"evt.shipping.booked": ShipmentBooked}),
    },
)
