"""Orchestrator: the cost of a workflow with a statechart, step by step."""

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
from arvo.engine.step.step import step_plain
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


def costs() -> Iterator[tuple[str, float, str]]:
    """Yield the name of each operation, its microseconds, and the aim or an empty text."""
    yield "orchestrator: two turns", _time_turns(sequential, CardCharged("r")), "120"
    turns = _time_turns(parallel, CardCharged("r"), ShipmentBooked("t"))
    yield "orchestrator: parallel, three turns", turns, "160"


def _time_turns(system: System, *answers: Any) -> float:
    """Time a workflow from its first event through *answers*, without the services."""
    events: list[Event[Any]] = [
        order["1.0.0"].init(PlaceOrder("order-42", 12.5), source="com.shop.web")
    ]
    requests = _commit(system, events[0], None).events
    services: tuple[Contract[Any], ...] = (charge, ship)
    for contract, request, answer in zip(services, requests, answers, strict=False):
        events.append(reply(contract, request, answer))

    def run_turns() -> Record | None:
        record: Record | None = None
        for event in events:
            record = _commit(system, event, record).record
        return record

    finished = run_turns()
    assert finished is not None
    assert finished.status == "done"
    return microseconds(run_turns)


def _commit(system: System, event: Event[Any], record: Record | None) -> Commit:
    commit = step_plain(system, event, record, now=NOW)
    assert isinstance(commit, Commit), commit
    return commit
