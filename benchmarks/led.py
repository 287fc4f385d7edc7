"""Led: what a workflow costs that a statechart leads, step by step (design section 12)."""

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from arvo import (
    Commit,
    Contract,
    Event,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Record,
    System,
    Version,
    Workflow,
)
from arvo.engine.step.step import take
from arvo.statechart import State, emit
from benchmarks.measure import microseconds
from benchmarks.shop import NOW, CardCharged, ChargeCard, PlaceOrder, charge, reply


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
    name="order.led",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderDone)},
)

_charging = emit(lambda context, event: ChargeCard(context.order_id, context.amount))
_booking = emit(lambda context, event: BookShipment(context.order_id))


def _led(**shape: Any) -> System:
    machine = Machine(
        contract=order["1.0.0"],
        services=[charge["1.0.0"], ship["1.0.0"]],
        context=PlaceOrder,
        output=lambda context, event: OrderDone(context.order_id),
        **shape,
    )
    return System([Orchestrator([machine])])


def _region(entry: Any, answer: type) -> State:
    return State(
        initial="asking",
        states={"asking": State(entry=entry, on={answer: "done"}), "done": State(type="final")},
    )


line = _led(
    initial="charging",
    states={
        "charging": State(entry=_charging, on={CardCharged: "done"}),
        "done": State(type="final"),
    },
)
both = _led(
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


def costs() -> Iterator[tuple[str, float, str]]:
    """Give each piece of work, its microseconds, and the aim where there is one."""
    yield "orchestrator: two turns", _turns(line, CardCharged("r")), "120"
    turns = _turns(both, CardCharged("r"), ShipmentBooked("t"))
    yield "orchestrator: parallel, three turns", turns, "160"


def _turns(system: System, *answers: Any) -> float:
    """Time a workflow from its first event through *answers*, without their services."""
    events: list[Event[Any]] = [
        order["1.0.0"].init(PlaceOrder("order-42", 12.5), source="com.shop.web")
    ]
    asked = _commit(system, events[0], None).events
    services: tuple[Contract[Any], ...] = (charge, ship)
    for contract, question, answer in zip(services, asked, answers, strict=False):
        events.append(reply(contract, question, answer))

    def through() -> Record | None:
        record: Record | None = None
        for event in events:
            record = _commit(system, event, record).record
        return record

    ended = through()
    assert ended is not None
    assert ended.status == "done"
    return microseconds(through)


def _commit(system: System, event: Event[Any], record: Record | None) -> Commit:
    commit = take(system, event, record, now=NOW)
    assert isinstance(commit, Commit), commit
    return commit
