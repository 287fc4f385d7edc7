"""Types of contracts and events: checked by the type checker, never run."""

from collections.abc import Mapping
from typing import Any, assert_type

from attrs import frozen

from arvo import (
    Contract,
    Event,
    OrchestratorContract,
    SimpleContract,
    Version,
    VersionedContract,
    VersionedWorkflow,
    Workflow,
)


@frozen
class ChargeCard:
    order_id: str
    amount: float


@frozen
class CardCharged:
    receipt: str


@frozen
class PlaceOrder:
    order_id: str


@frozen
class OrderFulfilled:
    tracking: str


charge = Contract(
    uri="#/charge",
    type="com.payment.charge",
    versions={"1.0.0": Version(accepts=ChargeCard, emits={"evt.payment.charged": CardCharged})},
)
simple = SimpleContract(
    uri="#/simple",
    type="user.validate",
    versions={"1.0.0": Version(accepts=ChargeCard, emits=CardCharged)},
)
order = OrchestratorContract(
    uri="#/order",
    name="order.fulfil",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)
decided = OrchestratorContract(
    uri="#/decided",
    name="order.decide",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=(OrderFulfilled, CardCharged))},
)
# The expression is a `types.UnionType` to mypy, which names its classes to no overload.
annotated: OrchestratorContract[PlaceOrder, OrderFulfilled | CardCharged] = OrchestratorContract(
    uri="#/decided",
    name="order.decide",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled | CardCharged)},
)
loose = Contract(
    uri="#/loose", type="com.loose.one", versions={"1.0.0": Version(accepts={"type": "object"})}
)

assert_type(charge, Contract[ChargeCard])
assert_type(decided, OrchestratorContract[PlaceOrder, OrderFulfilled | CardCharged])
assert_type(charge["1.0.0"], VersionedContract[ChargeCard])
assert_type(charge.version("latest"), VersionedContract[ChargeCard])
assert_type(simple["1.0.0"], VersionedContract[ChargeCard])
assert_type(order["1.0.0"], VersionedWorkflow[PlaceOrder, OrderFulfilled])
assert_type(loose["1.0.0"], VersionedContract[Mapping[str, Any]])

event = charge["1.0.0"].accepts(ChargeCard("o1", 1.0), source="com.shop.web")
assert_type(event, Event[ChargeCard])
assert_type(event.data, ChargeCard)
assert_type(event.data.amount, float)

begun = order["1.0.0"].init(PlaceOrder("o1"), source="com.shop.web", parent=None)
assert_type(begun, Event[PlaceOrder])
done = order["1.0.0"].complete(OrderFulfilled("t"), source="com.shop.web")
assert_type(done, Event[OrderFulfilled])

charge["1.0.0"].accepts(CardCharged("r"), source="com.shop.web")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
charge["1.0.0"].accepts(ChargeCard("o1", 1.0))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
charge["1.0.0"].accepts(ChargeCard("o1", 1.0), source="s", colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
order["1.0.0"].init(OrderFulfilled("t"), source="com.shop.web")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
order["1.0.0"].complete(PlaceOrder("o1"), source="com.shop.web")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# Events are immutable, so an event of a narrower payload type is one of a wider type.
def takes_any(event: Event[object]) -> str:
    return event.id


takes_any(event)
