"""Orchestrator: the workflow of `benchmarks.shop` as a statechart, with one service and two."""

from typing import Any

from attrs import frozen

from arvo import (
    Contract,
    Machine,
    Orchestrator,
    OrchestratorContract,
    System,
    Version,
    Workflow,
)
from arvo.statechart import State, emit
from benchmarks.shop import CardCharged, ChargeCard, PlaceOrder, charge


@frozen
class BookShipment:
    order_id: str


@frozen
class ShipmentBooked:
    tracking: str


@frozen
class OrderDone:
    order_id: str


ship = Contract(
    uri="#/contracts/shipping/book",
    type="com.shipping.book",
    versions={
        "1.0.0": Version(accepts=BookShipment, emits={"evt.shipping.booked": ShipmentBooked})
    },
)
order = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order.chart",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderDone)},
)

_charging = emit(lambda context, event: ChargeCard(context.order_id, context.amount))
_booking = emit(lambda context, event: BookShipment(context.order_id))


def _system(**chart: Any) -> System:
    machine = Machine(
        contract=order["1.0.0"],
        services=[charge["1.0.0"], ship["1.0.0"]],
        context=PlaceOrder,
        output=lambda context, event: OrderDone(context.order_id),
        **chart,
    )
    return System([Orchestrator([machine])])


def _region(entry: Any, answer: type) -> State:
    return State(
        initial="asking",
        states={"asking": State(entry=entry, on={answer: "done"}), "done": State(type="final")},
    )


sequential = _system(
    initial="charging",
    states={
        "charging": State(entry=_charging, on={CardCharged: "done"}),
        "done": State(type="final"),
    },
)
parallel = _system(
    initial="both",
    states={
        "both": State(
            type="parallel",
            on_done="done",
            states={
                "paid": _region(_charging, CardCharged),
                "sent": _region(_booking, ShipmentBooked),
            },
        ),
        "done": State(type="final"),
    },
)
