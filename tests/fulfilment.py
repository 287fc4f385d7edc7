"""Fulfilment: the shop's order workflow as a statechart."""

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


def tracking_number(context: OrderContext, event: Event[ShipmentBooked]) -> str:
    """Return the tracking number of the carrier."""
    return event.data.tracking


def make_output(context: OrderContext, _: object) -> OrderFulfilled:
    """Return the output of the workflow."""
    return OrderFulfilled(context.tracking or "nothing")


machine = Machine(
    contract=order["1.0.0"],
    services=SERVICES,
    context=OrderContext,
    initial="charging",
    output=make_output,
    states={
        "charging": State(
            entry=[emit(lambda c, e: ChargeCard(c.order_id, c.amount))],
            on={CardCharged: "shipping", CardDeclined: "cancelled", SystemFault: "cancelled"},
            after={FIVE_MINUTES: "cancelled"},
        ),
        "shipping": State(
            entry=[emit(lambda c, e: BookShipment(c.order_id))],
            on={
                ShipmentBooked: Transition("fulfilled", actions=assign(tracking=tracking_number)),
                SystemFault: "cancelled",
            },
        ),
        "fulfilled": State(type="final"),
        "cancelled": State(type="final", entry=[emit(Fail("the order is cancelled"))]),
    },
)
orders = Orchestrator([machine])
orchestrated_shop = System([payments, shipping, orders])
orders_only = System([orders])


def machine_system(**options: Any) -> System:
    """Make a system of one machine of the order contract with the given root state."""
    arguments = {"contract": order["1.0.0"], "services": SERVICES, **options}
    return System([Orchestrator([Machine(**arguments)])])


def state_of(record: Record | None) -> Any:
    """Return the state value of the machine in a record."""
    assert record is not None
    assert isinstance(record.state, dict)
    return record.state["value"]
