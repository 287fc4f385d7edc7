"""Fulfilment: the shop's order workflow once more, led by a statechart."""

from datetime import timedelta
from typing import Any

from attrs import frozen

from arvo import Event, Fail, Machine, Orchestrator, Record, System, SystemFault
from arvo.statechart import State, Transition, assign, emit
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    ShipmentBooked,
    order,
    payments,
    shipping,
)

FIVE_MINUTES = timedelta(minutes=5)


@frozen
class OrderContext:
    order_id: str
    amount: float
    tracking: str | None = None


def booked(context: OrderContext, event: Event[ShipmentBooked]) -> str:
    """Keep what the carrier says."""
    return event.data.tracking


def fulfilled(context: OrderContext, _: object) -> OrderFulfilled:
    """Say what the order came to."""
    return OrderFulfilled(context.tracking or "nothing")


machine = Machine(
    contract=order["1.0.0"],
    services=SERVICES,
    context=OrderContext,
    initial="charging",
    output=fulfilled,
    states={
        "charging": State(
            entry=[emit(lambda c, e: ChargeCard(c.order_id, c.amount))],
            on={CardCharged: "shipping", CardDeclined: "cancelled", SystemFault: "cancelled"},
            after={FIVE_MINUTES: "cancelled"},
        ),
        "shipping": State(
            entry=[emit(lambda c, e: BookShipment(c.order_id))],
            on={
                ShipmentBooked: Transition("fulfilled", actions=assign(tracking=booked)),
                SystemFault: "cancelled",
            },
        ),
        "fulfilled": State(type="final"),
        "cancelled": State(type="final", entry=[emit(Fail("the order is cancelled"))]),
    },
)
orders = Orchestrator([machine])
led = System([payments, shipping, orders])
alone = System([orders])


def leading(**shape: Any) -> System:
    """Make a system of one machine of the order contract, out of any root state."""
    given = {"contract": order["1.0.0"], "services": SERVICES, **shape}
    return System([Orchestrator([Machine(**given)])])


def state_of(record: Record | None) -> Any:
    """Give the state value of the machine that a record remembers."""
    assert record is not None
    assert isinstance(record.state, dict)
    return record.state["value"]
