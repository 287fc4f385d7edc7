"""The order workflow as a resumable: one answer to each thing that can happen."""

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
    BookParcel,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ItemsPicked,
    OrderClosed,
    Outcome,
    OutOfStock,
    ParcelBooked,
    PickItems,
    PlaceOrder,
    book,
    charge,
    order,
    pick,
)
from docs.examples.orders.rules import not_shipped, wrong_total

# What this workflow may meet. Closed, so mypy names a reply that `fulfil` forgets.
Happened: TypeAlias = (
    PlaceOrder | OutOfStock | ItemsPicked | CardDeclined | CardCharged | ParcelBooked | SystemFault
)


@frozen
class OrderState:
    order: PlaceOrder
    grams: int = 0
    receipt: str | None = None


def fulfil(turn: Turn[OrderState]) -> Commands:
    """Pick, charge, ship."""
    state = turn.state
    happened: Happened = turn.event.data
    match happened:
        case PlaceOrder() as placed:
            return Persist(OrderState(placed)), Emit(PickItems(placed.order_id, placed.items))
        case OutOfStock(sku=sku):
            return closed(state, "out of stock", sku)
        case ItemsPicked(price_cents=price) as picked:
            if price != state.order.total_cents:
                # Tier 3: somebody's price list is wrong, and no customer pays for that.
                return Violate(wrong_total(state.order.order_id, state.order.total_cents, price))
            return (
                Persist(evolve(state, grams=picked.grams)),
                Emit(ChargeCard(state.order.order_id, state.order.card, price)),
            )
        case CardDeclined(reason=reason):
            # Tier 1: a business failure ends an order like any other outcome.
            return closed(state, "declined", reason)
        case CardCharged(receipt=receipt):
            return (
                Persist(evolve(state, receipt=receipt)),
                Emit(BookParcel(state.order.order_id, state.order.country, state.grams)),
            )
        case ParcelBooked(tracking=tracking):
            return closed(state, "shipped", tracking)
        case SystemFault(message=message):
            # Tier 2: whoever placed the order learns that it cannot be carried through.
            return Fail(not_shipped(state.receipt, message))


def closed(state: OrderState, outcome: Outcome, note: str) -> Complete:
    return Complete(OrderClosed(state.order.order_id, outcome, note))


fulfilment = Resumable(
    order,
    {"1.0.0": fulfil},
    services=[pick["1.0.0"], charge["1.0.0"], book["1.0.0"]],
    state=OrderState,
)
