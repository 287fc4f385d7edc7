"""Context: the first context of a machine, made from the first event."""

from typing import Any

from attrs import frozen

from arvo import (
    OrchestratorContract,
    Workflow,
)
from arvo.statechart import State
from tests.fulfilment import OrderContext, machine_system
from tests.handlers.machine.machines import rejection
from tests.shop import (
    expect_commit,
    order_request,
)


@frozen
class Wide:
    order_id: str
    lines: int


def test_a_context_takes_the_fields_of_the_first_event() -> None:
    """Fields with the same name have the same meaning."""
    commit = expect_commit(
        machine_system(context=OrderContext, initial="a", states={"a": State()}),
        order_request(amount=7.5),
    )

    assert commit.record is not None
    assert isinstance(commit.record.state, dict)
    assert commit.record.state["context"] == {"order_id": "o1", "amount": 7.5, "tracking": None}


def test_a_context_that_the_first_event_cannot_fill_is_rejected() -> None:
    """The missing field is named when the machine is made, not when an order comes."""
    message = rejection(context=Wide, initial="a", states={"a": State()})

    assert "context.lines: expected a field that PlaceOrder always has" in message
    assert "context.order_id" not in message


def test_a_context_may_be_made_by_a_function_of_the_first_event() -> None:
    """As in XState, the machine's input is available to it."""

    def begin(event: Any) -> Wide:
        return Wide(event.data.order_id, len(event.source))

    commit = expect_commit(
        machine_system(context=begin, initial="a", states={"a": State()}), order_request()
    )

    assert commit.record is not None
    assert isinstance(commit.record.state, dict)
    assert commit.record.state["context"] == {"order_id": "o1", "lines": len("com.shop.web")}


def test_a_context_takes_the_keys_of_a_schema() -> None:
    """Contracts of other languages have no Python classes."""
    schema = {
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}},
        "required": ["order_id"],
    }
    foreign = OrchestratorContract(
        uri="#/orchestrators/order",
        name="order.fulfil",
        versions={"1.0.0": Workflow(init=schema, complete=schema)},
    )
    config: Any = {"contract": foreign["1.0.0"], "initial": "a", "states": {"a": State()}}

    @frozen
    class Late:
        order_id: str
        amount: float = 3.0

    commit = expect_commit(
        machine_system(context=Late, **config),
        foreign["1.0.0"].init({"order_id": "o2"}, source="com.shop.web"),
    )

    assert commit.record is not None
    assert isinstance(commit.record.state, dict)
    assert commit.record.state["context"] == {"order_id": "o2", "amount": 3.0}
    assert "context.amount" in rejection(context=OrderContext, **config)


def test_a_context_that_is_a_mapping_cannot_be_changed_in_place() -> None:
    """B14 (state mutated in place): every workflow that begins later would see the change."""

    def spoil(context: Any, event: Any) -> None:
        context["n"] = 1

    system = machine_system(context={"n": 0}, initial="a", states={"a": State(entry=spoil)})

    commit = expect_commit(system, order_request())

    assert commit.outcome == "failed"
    assert commit.record is not None
    assert commit.record.failure is not None
    assert commit.record.failure.name == "TypeError"
