"""Workflow: an order, from the moment it is placed until it is closed."""

from typing import TypeAlias

from attrs import evolve, frozen

from arvo import (
    Commands,
    Complete,
    ContractViolation,
    Emit,
    Fail,
    Issue,
    Persist,
    Resumable,
    System,
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
from docs.examples.orders.services import parcels, payments, warehouse

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
    """Pick, charge, ship: one answer to each thing that can happen."""
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
                return Violate(wrong_total(state.order, price))
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
            return Fail(f"paid as {state.receipt}, not shipped: {message}")


def closed(state: OrderState, outcome: Outcome, note: str) -> Complete:
    return Complete(OrderClosed(state.order.order_id, outcome, note))


def wrong_total(placed: PlaceOrder, price: int) -> ContractViolation:
    issue = Issue("total_cents", f"{price}, by the warehouse's prices", f"{placed.total_cents}")
    return ContractViolation(f"order {placed.order_id} was sold at another price", issue)


fulfilment = Resumable(
    order,
    {"1.0.0": fulfil},
    services=[pick["1.0.0"], charge["1.0.0"], book["1.0.0"]],
    state=OrderState,
)

system = System([warehouse, payments, parcels, fulfilment])
