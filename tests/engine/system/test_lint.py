"""Lint: bad wiring is reported before an event meets it."""

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


def test_a_well_wired_system_has_no_issues() -> None:
    """A test can assert on it."""
    assert shop.check() == ()


def test_a_service_without_a_handler_is_reported() -> None:
    """All its requests would become dead letters."""
    (issue,) = System([payments, fulfilment]).check()

    assert str(issue) == (
        "arvo.orc.order.fulfil calls com.shipping.book: expected a handler in this system, or a "
        "domain for its requests to services, got neither"
    )


def test_a_service_outside_the_system_is_reached_by_a_domain() -> None:
    """Another process handles it."""

    @flow(order, "1.0.0", services=SERVICES, domains=WorkflowDomains(services="ops"))
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        return OrderFulfilled("t")

    assert System([fulfil]).check() == ()


def test_a_version_without_an_implementation_is_reported() -> None:
    """The contract promises it, and an event of that version would be refused."""
    two = Workflow(init=PlaceOrder, complete=OrderFulfilled)
    both = OrchestratorContract(
        uri="#/orchestrators/order", name="order.fulfil", versions={"1.0.0": two, "2.0.0": two}
    )

    @flow(both, "1.0.0")
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        return OrderFulfilled("t")

    (issue,) = System([fulfil]).check()

    assert str(issue) == (
        "arvo.orc.order.fulfil 2.0.0: expected an implementation of each version of its contract, "
        "got none"
    )
