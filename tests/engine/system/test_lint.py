"""Check: bad wiring is named before an event meets it."""

from arvo import Event, Flow, OrchestratorContract, System, Workflow, WorkflowDomains, flow
from tests.shop import (
    SERVICES,
    OrderFulfilled,
    PlaceOrder,
    fulfilment,
    order,
    payments,
    shop,
)


def test_a_system_that_is_wired_well_has_nothing_to_be_noted() -> None:
    """So that a test can demand it."""
    assert shop.check() == ()


def test_a_service_that_is_nowhere_is_named() -> None:
    """Its requests would all be dead letters."""
    (issue,) = System([payments, fulfilment]).check()

    assert str(issue) == (
        "arvo.orc.order.fulfil asks com.shipping.book: expected a handler here, or requests that "
        "leave by a domain, got nobody at that address"
    )


def test_a_service_outside_is_reached_by_a_domain() -> None:
    """Then it is none of this system's business."""

    @flow(order, "1.0.0", services=SERVICES, domains=WorkflowDomains(services="ops"))
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        return OrderFulfilled("t")

    assert System([fulfil]).check() == ()


def test_a_version_that_nobody_carries_on_is_named() -> None:
    """The contract promises it."""
    two = Workflow(init=PlaceOrder, complete=OrderFulfilled)
    both = OrchestratorContract(
        uri="#/orchestrators/order", name="order.fulfil", versions={"1.0.0": two, "2.0.0": two}
    )

    @flow(both, "1.0.0")
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        return OrderFulfilled("t")

    (issue,) = System([fulfil]).check()

    assert issue.path == "arvo.orc.order.fulfil 2.0.0"
