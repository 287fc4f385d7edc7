"""Busy: a system that every kind of fault can hit: effects, requests, a timer and a domain."""

from collections.abc import Iterator
from typing import Any

from arvo import (
    Contract,
    Emit,
    Event,
    EventHandler,
    Flow,
    HandlerDomains,
    System,
    Version,
    ask,
    call,
    flow,
    race,
    sleep,
)
from tests.shop import (
    SERVICES,
    WEB,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    order,
    order_request,
    payments,
    shipping,
)

notify = Contract(
    uri="#/contracts/notify",
    type="com.notify.customer",
    versions={"1.0.0": Version(accepts=BookShipment, emits={"evt.notify.sent": ShipmentBooked})},
)
# Its answer leaves the system by a domain.
notices = EventHandler(
    notify,
    {"1.0.0": lambda event: Emit(ShipmentBooked(event.data.order_id))},
    domains=HandlerDomains(emits=("mail",)),
)


async def look_up(key: str) -> str:
    """Look up a customer or a rate; the simulation runs a substitute."""
    raise NotImplementedError(key)


@flow(order, "1.0.0", services=SERVICES)
def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Perform two effects, race two services, request another one, and wait for a timer."""
    customer = yield from call(look_up, "customer")
    rate = yield from call(look_up, "rate")
    yield from race(
        ask(ChargeCard(event.data.order_id, 1.0), CardCharged),
        ask(BookShipment(event.data.order_id), ShipmentBooked),
    )
    booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
    yield from sleep(60)
    return OrderFulfilled(f"{customer} {rate} {booked.tracking}")


system = System([payments, shipping, notices, fulfil])
OPTIONS: dict[str, Any] = {"effects": {look_up: lambda key: f"found {key}"}}


def events() -> Iterator[Event[Any]]:
    """Return two orders and two notices."""
    yield from (order_request("i1"), order_request("i2"))
    for id_ in ("n1", "n2"):
        yield notify["1.0.0"].accepts(BookShipment(id_), source=WEB, id=id_)
