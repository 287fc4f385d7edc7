"""Services: a warehouse, a payment service, and a shipping service that calls a carrier."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from arvo import Effects, Emit, Event, EventHandler, Retry, call
from docs.examples.orders import carrier
from docs.examples.orders.contracts import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ItemsPicked,
    OutOfStock,
    PickItems,
    ShipmentBooked,
    book,
    charge,
    pick,
)


class Ware(NamedTuple):
    price_cents: int
    grams: int
    in_stock: int


WARES: Final[Mapping[str, Ware]] = {
    "house-blend-1kg": Ware(1890, 1040, 5000),
    "ethiopia-250g": Ware(1150, 280, 5000),
    "kenya-250g": Ware(1290, 280, 5000),
    "decaf-500g": Ware(1320, 540, 5000),
    "filters-100": Ware(490, 160, 5000),
    "dripper": Ware(2450, 420, 5000),
    "hand-grinder": Ware(8900, 780, 5000),
    "espresso-cups": Ware(3200, 1150, 5000),
    "kettle": Ware(7400, 1350, 0),
}

CARD_LIMIT_CENTS: Final = 40_000


def pick_items(event: Event[PickItems]) -> Emit:
    """Return price and weight of the items, or the first one that is out of stock."""
    price = grams = 0
    for item in event.data.items:
        ware = WARES.get(item.sku)
        if ware is None or ware.in_stock < item.quantity:
            return Emit(OutOfStock(item.sku))
        price += ware.price_cents * item.quantity
        grams += ware.grams * item.quantity
    return Emit(ItemsPicked(price, grams))


def take_payment(event: Event[ChargeCard]) -> Emit:
    """Charge the card. A declined card is no error: the contract has an event for it."""
    if event.data.card.endswith("-expired"):
        return Emit(CardDeclined("the card has expired"))
    if event.data.amount_cents > CARD_LIMIT_CENTS:
        return Emit(CardDeclined("over the card's limit"))
    return Emit(CardCharged(f"r-{event.data.order_id}"))


def book_shipment(event: Event[BookShipment]) -> Effects[Emit]:
    """Request a tracking number; a failure of the last attempt becomes a system error."""
    tracking = yield from call(
        carrier.request_tracking,
        event.data.order_id,
        event.data.country,
        event.data.grams,
        retry=Retry(attempts=4, delay=0.02),
        timeout=0.5,
    )
    return Emit(ShipmentBooked(tracking))


warehouse = EventHandler(pick, {"1.0.0": pick_items})
payments = EventHandler(charge, {"1.0.0": take_payment})
shipments = EventHandler(book, {"1.0.0": book_shipment})
