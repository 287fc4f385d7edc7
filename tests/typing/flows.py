"""Types of flows: checked by the type checker, never run."""

from datetime import UTC, datetime, timedelta
from typing import assert_type

from attrs import frozen

from arvo import (
    Event,
    Flow,
    FlowHandler,
    ask,
    call,
    call_workflow,
    continue_as_new,
    fail,
    flow,
    gather,
    race,
    sleep,
    wait_for,
)
from tests.typing.contracts import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    order,
)


@frozen
class CardDeclined:
    reason: str


@frozen
class Approved:
    by: str


async def fetch(number: int) -> list[str]:
    return [str(number)]


def part(event: Event[PlaceOrder]) -> Flow[int]:
    yield from sleep(1.5)
    return 3


@flow(order, "1.0.0", services=[charge["1.0.0"]])
def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    assert_type(event.data, PlaceOrder)
    one = yield from ask(ChargeCard("o", 1.0), CardCharged)
    assert_type(one, CardCharged)
    two = yield from ask(ChargeCard("o", 1.0), CardCharged, CardDeclined)
    assert_type(two, CardCharged | CardDeclined)
    if isinstance(two, CardDeclined):
        return fail(two.reason)
    assert_type(two, CardCharged)
    all_of_them = yield from gather(
        ask(ChargeCard("o", 1.0), CardCharged), part(event), call(fetch, 3, timeout=2)
    )
    assert_type(all_of_them, tuple[CardCharged, int, list[str]])
    many = yield from gather(*[part(event) for _ in range(3)])
    assert_type(many, tuple[int, ...])
    first = yield from race(ask(ChargeCard("o", 1.0), CardCharged), sleep(timedelta(minutes=1)))
    assert_type(first, CardCharged | None)
    signal = yield from wait_for(Approved, where=lambda it: it.by == "ann")
    assert_type(signal, Approved)
    soon = yield from wait_for(Approved, deadline=datetime(2026, 1, 2, tzinfo=UTC))
    assert_type(soon, Approved | None)
    done = yield from call_workflow(
        order["1.0.0"], PlaceOrder("o"), compensate=lambda it: ChargeCard("u", 1)
    )
    assert_type(done, OrderFulfilled)
    named = yield from call_workflow(
        order["1.0.0"], PlaceOrder("o"), workflow_id="order-1", id_reuse_policy="allow"
    )
    assert_type(named, OrderFulfilled)
    if many:
        return continue_as_new(event.data)
    return OrderFulfilled("t")


assert_type(fulfil, FlowHandler[PlaceOrder, OrderFulfilled])


# The function must accept the init payload of the workflow and return its completion.
@flow(order, "1.0.0")  # type: ignore[arg-type]
def wrong(event: Event[ChargeCard]) -> Flow[CardCharged]:
    yield from sleep(1)
    return CardCharged("r")


assert_type(
    order["1.0.0"].init(PlaceOrder("o"), source="com.shop.web", workflow_id="order-1"),
    Event[PlaceOrder],
)
order["1.0.0"].init(
    PlaceOrder("o"),
    source="com.shop.web",
    workflow_id="order-1",
    id_reuse_policy="never",  # type: ignore[arg-type]
)
