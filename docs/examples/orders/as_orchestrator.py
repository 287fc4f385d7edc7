"""The order workflow as an orchestrator: led by a statechart."""

from typing import Any

from attrs import frozen

from arvo import Event, Fail, Machine, Orchestrator, SystemFault, Violate
from arvo.statechart import State, Transition, assign, emit
from docs.examples.orders.contracts import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    Item,
    ItemsPicked,
    OrderClosed,
    OutOfStock,
    PickItems,
    ShipmentBooked,
    book,
    charge,
    order,
    pick,
)
from docs.examples.orders.rules import not_shipped, wrong_total


@frozen
class Order:
    """The chart's context: the order as it was placed, and its progress."""

    order_id: str
    card: str
    country: str
    items: tuple[Item, ...]
    total_cents: int
    grams: int = 0
    receipt: str | None = None


def is_dearer(context: Order, event: Event[ItemsPicked]) -> bool:
    return event.data.price_cents != context.total_cents


def refuse(context: Order, event: Event[ItemsPicked]) -> Violate:
    # Tier 3: one of the price lists is wrong, and no customer pays for that.
    return Violate(wrong_total(context.order_id, context.total_cents, event.data.price_cents))


def give_up(context: Order, event: Event[SystemFault]) -> Fail:
    # Tier 2: the customer's shop receives a system error: the order cannot be fulfilled.
    return Fail(not_shipped(context.receipt, event.data.message))


def close(outcome: Any, note: str) -> State:
    """Return a final state; its output carries the field *note* of the last event."""
    return State(
        type="final",
        output=lambda c, e: OrderClosed(c.order_id, outcome, getattr(e.data, note)),
    )


machine = Machine(
    contract=order["1.0.0"],
    services=[pick["1.0.0"], charge["1.0.0"], book["1.0.0"]],
    context=Order,
    initial="picking",
    on={SystemFault: Transition(actions=emit(give_up))},
    states={
        "picking": State(
            entry=emit(lambda c, _: PickItems(c.order_id, c.items)),
            on={
                OutOfStock: "out of stock",
                ItemsPicked: [
                    Transition(guard=is_dearer, actions=emit(refuse)),
                    Transition("charging", actions=assign(grams=lambda _, e: e.data.grams)),
                ],
            },
        ),
        "charging": State(
            entry=emit(lambda c, _: ChargeCard(c.order_id, c.card, c.total_cents)),
            on={
                # Tier 1: a business failure ends an order like any other outcome.
                CardDeclined: "declined",
                CardCharged: Transition(
                    "shipping", actions=assign(receipt=lambda _, e: e.data.receipt)
                ),
            },
        ),
        "shipping": State(
            entry=emit(lambda c, _: BookShipment(c.order_id, c.country, c.grams)),
            on={ShipmentBooked: "shipped"},
        ),
        "shipped": close("shipped", "tracking"),
        "declined": close("declined", "reason"),
        "out of stock": close("out of stock", "sku"),
    },
)

fulfilment = Orchestrator([machine])
