"""What a type checker knows of machines and orchestrators; checked, never run."""

from typing import Any, assert_type

from attrs import frozen

from arvo import Event, Machine, Orchestrator, Record, System
from arvo.statechart import Snapshot, State, emit
from tests.typing.contracts import CardCharged, ChargeCard, PlaceOrder, charge, order


@frozen
class OrderState:
    order_id: str


line = Machine(
    contract=order["1.0.0"],
    services=[charge["1.0.0"]],
    context=OrderState,
    initial="a",
    states={
        "a": State(entry=[emit(lambda c, e: ChargeCard(c.order_id, 1.0))], on={CardCharged: "b"})
    },
)
assert_type(line, Machine[OrderState])
orders = Orchestrator([line])
assert_type(orders, Orchestrator[OrderState])


def begun(event: Event[PlaceOrder]) -> OrderState:
    return OrderState(event.data.order_id)


made = Machine(contract=order["1.0.0"], context=begun, initial="a", states={"a": State()})
assert_type(made, Machine[OrderState])

plain = Machine(contract=order["1.0.0"], context={"n": 0}, initial="a", states={"a": State()})
assert_type(plain, Machine[Any])
read = Machine[OrderState].from_xstate(
    {"initial": "a"}, contract=order["1.0.0"], context=OrderState
)
assert_type(read, Machine[OrderState])


def looked(record: Record) -> None:
    assert_type(orders.query(record), Snapshot[OrderState])


System([orders])

Machine(contract=order, initial="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Machine(contract=order["1.0.0"], colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Orchestrator([order])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
