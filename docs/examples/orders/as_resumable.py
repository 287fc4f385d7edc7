"""The order workflow as a resumable: one reaction to each event that can arrive."""

from typing import TypeAlias

from attrs import evolve, frozen

from arvo import (
    Commands,
    Complete,
    Emit,
    Fail,
    Persist,
    Resumable,
    SystemFault,
    Turn,
    Violate,
)
from docs.examples.orders.contracts import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ItemsPicked,
    OrderClosed,
    Outcome,
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

# The events of this workflow. The union is closed, so mypy names a reply that `fulfil` forgets.
Incoming: TypeAlias = (
    PlaceOrder
    | OutOfStock
    | ItemsPicked
    | CardDeclined
    | CardCharged
    | ShipmentBooked
    | SystemFault
)


@frozen
class OrderState:
    order: PlaceOrder
    grams: int = 0
    receipt: str | None = None


def fulfil(turn: Turn[OrderState]) -> Commands:
    """Pick, charge, ship."""
    state = turn.state
    incoming: Incoming = turn.event.data
    match incoming:
        case PlaceOrder() as placed:
            return Persist(OrderState(placed)), Emit(PickItems(placed.order_id, placed.items))
        case OutOfStock(sku=sku):
            return close(state, "out of stock", sku)
        case ItemsPicked(price_cents=price) as picked:
            if price != state.order.total_cents:
                # Tier 3: one of the price lists is wrong, and no customer pays for that.
                return Violate(wrong_total(state.order.order_id, state.order.total_cents, price))
            return (
                Persist(evolve(state, grams=picked.grams)),
                Emit(ChargeCard(state.order.order_id, state.order.card, price)),
            )
        case CardDeclined(reason=reason):
            # Tier 1: a business failure ends an order like any other outcome.
            return close(state, "declined", reason)
        case CardCharged(receipt=receipt):
            return (
                Persist(evolve(state, receipt=receipt)),
                Emit(BookShipment(state.order.order_id, state.order.country, state.grams)),
            )
        case ShipmentBooked(tracking=tracking):
            return close(state, "shipped", tracking)
        case SystemFault(message=message):
            # Tier 2: the customer's shop receives a system error: the order cannot be fulfilled.
            return Fail(not_shipped(state.receipt, message))


def close(state: OrderState, outcome: Outcome, note: str) -> Complete:
    return Complete(OrderClosed(state.order.order_id, outcome, note))


fulfilment = Resumable(
    order,
    {"1.0.0": fulfil},
    services=[pick["1.0.0"], charge["1.0.0"], book["1.0.0"]],
    state=OrderState,
)
