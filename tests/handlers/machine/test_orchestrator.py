"""Orchestrator: the machines of one workflow, and queries of its state."""

from typing import Any

import pytest
from attrs import frozen

from arvo import (
    ConfigViolation,
    ExecutionViolation,
    Machine,
    Orchestrator,
    OrchestratorContract,
    System,
    Violated,
    Workflow,
)
from arvo.statechart import State, emit
from tests.fulfilment import (
    OrderContext,
    machine,
    machine_system,
    orchestrated_shop,
    orders,
    orders_only,
)
from tests.handlers.machine.machines import END, broken
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    expect_commit,
    expect_violation,
    order_request,
    payments,
    reply_to,
)


def test_a_query_returns_the_snapshot_of_a_workflow() -> None:
    """It changes nothing."""
    record = expect_commit(orchestrated_shop, order_request()).record
    assert record is not None

    snapshot = orders.query(record)

    assert snapshot.matches("charging")
    assert snapshot.context == OrderContext("o1", 10.0)
    assert [timer.delay_ms for timer in snapshot.timers] == [300_000]


# Versions


two = OrchestratorContract(
    uri="#/orchestrators/two",
    name="order.two",
    versions={
        number: Workflow(init=PlaceOrder, complete=OrderFulfilled)
        for number in ("1.0.0", "2.0.0", "3.0.0")
    },
)


def make_version(version: str, payload: Any) -> Machine[Any]:
    """Make a machine of *version* that sends *payload* and completes on the first reply."""
    return Machine(
        contract=two[version],
        services=SERVICES,
        initial="a",
        states={
            "a": State(entry=emit(payload), on={CardCharged: "b", ShipmentBooked: "b"}),
            "b": END,
        },
    )


two_versions = System(
    [
        Orchestrator(
            [
                make_version("1.0.0", ChargeCard("o1", 1.0)),
                make_version("2.0.0", BookShipment("o1")),
            ]
        ),
        payments,
    ]
)


def test_versions_run_side_by_side() -> None:
    """A workflow stays on the version that it began on."""
    for version, payload in (("1.0.0", ChargeCard("o1", 1.0)), ("2.0.0", BookShipment("o1"))):
        init = two[version].init(PlaceOrder("o1"), source="com.shop.web")
        assert [event.data for event in expect_commit(two_versions, init).events] == [payload]


def test_a_version_without_a_machine_is_a_violation() -> None:
    """The operator has to deploy it."""
    init = two["3.0.0"].init(PlaceOrder("o1"), source="com.shop.web")

    violation = expect_violation(two_versions, init)

    assert isinstance(violation, ConfigViolation)
    assert "expected 1.0.0, 2.0.0, got 3.0.0" in str(violation)


@pytest.mark.parametrize(
    ("machines", "message"),
    [
        ([], "at least one machine"),
        ([machine, machine], "machines[1]: expected a version of its own"),
        (
            [machine, make_version("1.0.0", ChargeCard("o", 1.0))],
            "machines[1]: expected a version of #/",
        ),
        ([machine, orders], "machines[1]: expected a Machine"),
    ],
)
def test_machines_that_do_not_belong_together_are_rejected(machines: Any, message: str) -> None:
    """Each machine leads one version of the same contract."""
    with pytest.raises(Violated) as caught:
        Orchestrator(machines)

    assert message in str(caught.value)


def test_a_query_of_another_workflow_is_rejected() -> None:
    """So is one of a workflow that failed before it had a state."""
    failed = expect_commit(
        machine_system(initial="a", states={"a": State(entry=emit(broken))}), order_request()
    )
    stranger = expect_commit(
        two_versions, two["1.0.0"].init(PlaceOrder("o1"), source="com.shop.web")
    )
    assert failed.record is not None
    assert stranger.record is not None

    for record, message in (
        (failed.record, "no state to continue from"),
        (stranger.record, "no machine"),
    ):
        with pytest.raises(Violated, match=message):
            orders.query(record)


def test_a_machine_without_the_stored_state_is_a_violation() -> None:
    """It names the state and the remedy, and the event becomes a dead letter."""
    first = expect_commit(orders_only, order_request())
    smaller = machine_system(
        context=OrderContext, initial="other", states={"other": State(on={CardCharged: "other"})}
    )

    violation = expect_violation(smaller, reply_to(first.events[0], CardCharged("r")), first.record)

    assert isinstance(violation, ExecutionViolation)
    assert "order-fulfil.charging" in str(violation)
    assert "migrate" in str(violation)


def test_a_stored_context_of_another_shape_is_reported_by_field() -> None:
    """A class may have gained or lost a field."""

    @frozen
    class Narrow:
        order_id: int

    first = expect_commit(orders_only, order_request())

    def begin(event: Any) -> Narrow:
        return Narrow(1)

    begin.__annotations__["return"] = Narrow
    other = machine_system(
        context=begin, initial="charging", states={"charging": State(on={CardCharged: "charging"})}
    )

    violation = expect_violation(other, reply_to(first.events[0], CardCharged("r")), first.record)

    assert "state.context.order_id: expected" in str(violation)
