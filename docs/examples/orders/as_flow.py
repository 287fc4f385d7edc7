"""The order workflow as a flow: written straight down."""

from arvo import Event, Flow, ServiceFailed, Violated, ask, fail, flow
from docs.examples.orders.contracts import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ItemsPicked,
    OrderClosed,
    OutOfStock,
    PickItems,
    PlaceOrder,
    ShipmentBooked,
    book,
    charge,
    order,
    pick,
)
from docs.examples.orders.rules import not_shipped, wrong_total


@flow(order, "1.0.0", services=[pick["1.0.0"], charge["1.0.0"], book["1.0.0"]])
def fulfilment(event: Event[PlaceOrder]) -> Flow[OrderClosed]:
    """Pick, charge, ship."""
    placed, receipt = event.data, None
    try:
        picked = yield from ask(PickItems(placed.order_id, placed.items), ItemsPicked, OutOfStock)
        if isinstance(picked, OutOfStock):
            # Tier 1: a business failure ends an order like any other outcome.
            return OrderClosed(placed.order_id, "out of stock", picked.sku)
        if picked.price_cents != placed.total_cents:
            # Tier 3: one of the price lists is wrong, and no customer pays for that.
            price = picked.price_cents
            raise Violated(wrong_total(placed.order_id, placed.total_cents, price))
        charged = yield from ask(
            ChargeCard(placed.order_id, placed.card, picked.price_cents), CardCharged, CardDeclined
        )
        if isinstance(charged, CardDeclined):
            return OrderClosed(placed.order_id, "declined", charged.reason)
        receipt = charged.receipt
        booked = yield from ask(
            BookShipment(placed.order_id, placed.country, picked.grams), ShipmentBooked
        )
    except ServiceFailed as failed:
        # Tier 2: the customer's shop receives a system error: the order cannot be fulfilled.
        return fail(not_shipped(receipt, failed.fault.message))
    return OrderClosed(placed.order_id, "shipped", booked.tracking)
