"""FlowHandler: versions, contracts and functions of a flow."""

from typing import Any

import pytest

from arvo import (
    Event,
    EventHandler,
    Flow,
    OrchestratorContract,
    Subject,
    System,
    Violated,
    Workflow,
    flow,
    flows,
    run,
    sleep,
)
from tests.handlers.flow.flows import (
    answer,
    charge,
    make_flow,
    waiting,
)
from tests.shop import (
    SERVICES,
    CardCharged,
    OrderFulfilled,
    PlaceOrder,
    order,
    order_request,
    payments,
)


def test_versions_run_side_by_side() -> None:
    """A workflow stays on the version that its subject names."""
    both = OrchestratorContract(
        uri="#/orchestrators/order",
        name="order.fulfil",
        versions={
            "1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
            "2.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
        },
    )

    @flow(both, "1.0.0", services=SERVICES)
    def first(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        return OrderFulfilled("first")

    @flow(both, "2.0.0")
    def second(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from sleep(1)
        return OrderFulfilled("second")

    system = System([payments, flows(first, second)])
    for version, result in (("1.0.0", "first"), ("2.0.0", "second")):
        event = both[version].init(PlaceOrder("o1"), source="com.shop.web", id="i1")
        assert answer(run(system, event)) == OrderFulfilled(result)

    with pytest.raises(Violated, match="a version of its own"):
        flows(first, first)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: flow(order, "9.9.9"), "one of 1.0.0"),
        (lambda: flow(payments.contract, "1.0.0"), "an OrchestratorContract"),  # type: ignore[arg-type]
        (lambda: flow(order, "1.0.0", services=[order["1.0.0"]]), "another contract"),
        (
            lambda: flow(order, "1.0.0", services=SERVICES, signals=[SERVICES[0], SERVICES[0]]),
            "own",
        ),
    ],
)
def test_contracts_that_do_not_fit_are_refused_at_construction(wrong: Any, message: str) -> None:
    """Before the first event."""
    with pytest.raises(Violated, match=message):
        wrong()(lambda _: None)


def test_a_flow_is_no_async_function() -> None:
    """Its I/O would run inside the step, and again in each replay."""

    async def fulfil(event: Event[PlaceOrder]) -> OrderFulfilled:
        raise AssertionError

    async def streaming(event: Event[PlaceOrder]) -> Any:
        yield event

    for wrong in (fulfil, streaming):
        with pytest.raises(Violated, match="function: expected a plain function"):
            flow(order, "1.0.0")(wrong)  # type: ignore[arg-type]


def test_a_flow_takes_the_event_that_begins_it() -> None:
    """An author who expects a context as well learns at import that there is none."""

    def fulfil(event: Event[PlaceOrder], context: object) -> Flow[OrderFulfilled]:
        yield from sleep(1)
        raise AssertionError

    with pytest.raises(Violated, match="of one argument, the event that begins the workflow, got"):
        flow(order, "1.0.0")(fulfil)  # type: ignore[arg-type]


def test_a_flow_returns_an_outcome_of_its_contract() -> None:
    """By its annotation, where it has one that can be read; otherwise the type checker says so."""

    def wrong(event: Event[PlaceOrder]) -> Flow[OrderFulfilled | CardCharged]:
        yield from sleep(1)
        raise AssertionError

    def unknown(event: Event[PlaceOrder]) -> "Flow[NotThere]":  # type: ignore[name-defined]  # noqa: F821
        yield from sleep(1)
        raise AssertionError

    expected = "function ->: expected OrderFulfilled, the outcome by #/.*, got CardCharged"
    with pytest.raises(Violated, match=expected):
        flow(order, "1.0.0")(wrong)  # type: ignore[arg-type]
    assert flow(order, "1.0.0")(unknown).contract is order


def test_the_subject_names_the_flow() -> None:
    """As for every workflow."""
    assert Subject.parse(order_request().subject).orchestrator.name == make_flow(waiting).source
    assert isinstance(payments, EventHandler)
