"""Primitives: child workflows of a flow."""

from datetime import timedelta

from arvo import (
    Event,
    Flow,
    System,
    ask,
    call_workflow,
    flow,
    race,
    run,
    sleep,
)
from tests.handlers.flow.flows import (
    Pack,
    Packed,
    answer,
    packing,
)
from tests.shop import (
    NOW,
    SERVICES,
    BookShipment,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    order,
    order_request,
    shipping,
)


def test_a_flow_starts_a_child_workflow_and_waits_for_it() -> None:
    """`call_workflow` returns the payload that completes the child."""

    @flow(packing, "1.0.0", services=[SERVICES[1]])
    def pack(event: Event[Pack]) -> Flow[Packed]:
        yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
        return Packed(2)

    @flow(order, "1.0.0", services=[packing["1.0.0"]])
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        packed = yield from call_workflow(packing["1.0.0"], Pack(event.data.order_id))
        return OrderFulfilled(f"{packed.boxes} boxes")

    trace = run(System([shipping, pack, fulfil]), order_request())

    assert answer(trace) == OrderFulfilled("2 boxes")
    (child,) = trace.records[order_request().subject].children.values()
    assert trace.records[child.subject].status == "done"
    assert trace.records[child.subject].parent == order_request().subject


def test_a_child_that_loses_a_race_is_cancelled() -> None:
    """Its parent no longer waits for it, so it should not continue."""

    @flow(packing, "1.0.0")
    def pack(event: Event[Pack]) -> Flow[Packed]:
        yield from sleep(3_600)
        return Packed(2)

    @flow(order, "1.0.0", services=[packing["1.0.0"]])
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        packed = yield from race(
            call_workflow(packing["1.0.0"], Pack(event.data.order_id)), sleep(60)
        )
        return OrderFulfilled(str(packed))

    trace = run(System([pack, fulfil]), order_request())

    assert answer(trace) == OrderFulfilled("None")
    (child,) = trace.records[order_request().subject].children.values()
    assert trace.records[child.subject].status == "cancelled"
    assert trace.now == NOW + timedelta(seconds=60)
    assert trace.violations == ()
