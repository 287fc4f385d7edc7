"""Machines and orchestrators as type checkers see them; checked, never run."""

from datetime import timedelta
from typing import Any, assert_type

from attrs import frozen

from arvo import Event, Machine, Orchestrator, Record, System
from arvo.statechart import Snapshot, State, emit
from tests.typing.contracts import CardCharged, ChargeCard, PlaceOrder, charge, order


@frozen
class OrderState:
    order_id: str


typed_machine = Machine(
    contract=order["1.0.0"],
    services=[charge["1.0.0"]],
    context=OrderState,
    initial="a",
    states={
        "a": State(entry=[emit(lambda c, e: ChargeCard(c.order_id, 1.0))], on={CardCharged: "b"})
    },
)
assert_type(typed_machine, Machine[OrderState])
orders = Orchestrator([typed_machine])
assert_type(orders, Orchestrator[OrderState])


def make_context(event: Event[PlaceOrder]) -> OrderState:
    return OrderState(event.data.order_id)


function_machine = Machine(
    contract=order["1.0.0"], context=make_context, initial="a", states={"a": State()}
)
assert_type(function_machine, Machine[OrderState])

json_machine = Machine(
    contract=order["1.0.0"], context={"n": 0}, initial="a", states={"a": State()}
)
assert_type(json_machine, Machine[Any])
xstate_machine = Machine[OrderState].from_xstate(
    {"initial": "a"}, contract=order["1.0.0"], context=OrderState
)
assert_type(xstate_machine, Machine[OrderState])


def query(record: Record) -> None:
    assert_type(orders.query(record), Snapshot[OrderState])


# Transitions that several states share.
ON = {CardCharged: "b", PlaceOrder: "c"}
LATE = {timedelta(minutes=5): "c"}
shared = {"a": State(on=ON, after=LATE), "b": State(on=ON), "c": State(type="final")}
Machine(contract=order["1.0.0"], services=[charge["1.0.0"]], initial="a", states=shared)

System([orders])

Machine(contract=order, initial="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Machine(contract=order["1.0.0"], colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Orchestrator([order])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
