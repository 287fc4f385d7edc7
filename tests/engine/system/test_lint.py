"""Lint: bad wiring is reported before an event meets it."""

from functools import partial
from typing import Any

import pytest

from arvo import (
    Commands,
    Contract,
    Domain,
    Emit,
    Event,
    Flow,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Resumable,
    System,
    Turn,
    Version,
    Workflow,
    WorkflowDomains,
    ask,
    flow,
    tell,
)
from arvo.engine.system.handler import WorkflowHandler
from arvo.statechart import State, emit
from tests.engine.system import rules
from tests.shop import (
    SERVICES,
    BookShipment,
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
        "arvo.orc.order.fulfil calls com.shipping.book: expected a handler here or in remote=, "
        "or a domain for its requests to services, got neither"
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


def _book(order_id: str) -> Emit:
    return Emit(BookShipment(order_id), domain="partner")


def _by_helper(turn: Turn[Any]) -> Commands:
    return _book("o")


def _by_keyword(turn: Turn[Any], *, domain: str) -> Commands:
    return Emit(BookShipment("o"), domain=domain)


def _stays(turn: Turn[Any]) -> Commands:
    return Emit(BookShipment("o"))


_book_by_partner = partial(Emit, domain="partner")
_BY_PARTNER: dict[str, Any] = {"domain": ("partner",)}


def _by_module(turn: Turn[Any]) -> Commands:
    return rules.book_elsewhere("o")


def _by_module_here(turn: Turn[Any]) -> Commands:
    return rules.book_here("o")


def _by_partial(turn: Turn[Any]) -> Commands:
    return _book_by_partner(BookShipment("o"))


def _by_options(turn: Turn[Any]) -> Commands:
    return [Emit(BookShipment(it), **_BY_PARTNER) for it in "o"]


class _Rules:
    def book(self) -> Emit:
        return Emit(BookShipment("o"), domain="partner")

    def take_turn(self, _: Turn[Any]) -> Commands:
        return self.book()


_rules = _Rules()


def _by_object(turn: Turn[Any]) -> Commands:
    return [_rules.book() for _ in range(1)]


class _Callable:
    def __call__(self, _: Turn[Any]) -> Commands:
        return Emit(BookShipment("o"), domain=("partner",))


@flow(order, "1.0.0", services=SERVICES)
def _flow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    yield from ask(Emit(BookShipment("o"), domain="partner"))
    return OrderFulfilled("t")


def _resumable(function: Any) -> WorkflowHandler:
    return Resumable(order, {"1.0.0": function}, services=SERVICES)


def _orchestrator(action: Any) -> WorkflowHandler:
    states = {"booking": State(entry=[emit(action)], on={"evt.shipping.booked": "done"})}
    done = State(type="final", output=lambda _: OrderFulfilled("t"))
    machine: Machine[Any] = Machine(
        contract=order["1.0.0"],
        services=SERVICES,
        initial="booking",
        states={**states, "done": done},
    )
    return Orchestrator([machine])


@pytest.mark.parametrize(
    "handler",
    [
        _resumable(_by_helper),
        _resumable(partial(_by_keyword, domain="partner")),
        _resumable(_Callable()),
        _resumable(_by_module),
        _resumable(_by_partial),
        _resumable(_by_options),
        _resumable(_by_object),
        _resumable(_rules.take_turn),
        _flow,
        _orchestrator(Emit(BookShipment("o"), domain="partner")),
        _orchestrator(lambda _context, _event: Emit(BookShipment("o"), domain="partner")),
    ],
    ids=[
        *("helper", "partial", "callable", "module", "partial of Emit", "options", "object"),
        *("method", "flow", "command", "lambda"),
    ],
)
def test_a_request_that_leaves_by_a_domain_is_no_fault(handler: WorkflowHandler) -> None:
    """Its service is in another system, and the domain's listener carries the request there."""
    issues = System([payments, handler]).check()

    assert not [issue for issue in issues if "calls com.shipping.book" in issue.path]


@pytest.mark.parametrize(
    "handler",
    [
        _resumable(_stays),
        _resumable(_by_module_here),
        _orchestrator(lambda _context, _event: Emit(BookShipment("o"))),
        Resumable(
            order,
            {"1.0.0": _stays},
            services=SERVICES,
            domains=WorkflowDomains(services=Domain.FROM_EVENT_CONTRACT),
        ),
    ],
    ids=["resumable", "module", "machine", "rule"],
)
def test_a_request_that_stays_without_a_handler_is_reported(handler: WorkflowHandler) -> None:
    """A rule that resolves to no domain does not let it leave either."""
    issues = System([payments, handler]).check()

    assert [issue.got for issue in issues if "calls com.shipping.book" in issue.path] == ["neither"]


def test_the_domain_of_a_contract_is_named_where_a_request_stays() -> None:
    """A contract with a domain lets no request leave: the workflow says so."""
    abroad = Contract(
        uri="#/abroad",
        type="com.abroad.book",
        domain="abroad",
        versions={"1.0.0": Version(accepts=BookShipment)},
    )

    def check(**options: Any) -> list[str]:
        @flow(order, "1.0.0", services=[abroad["1.0.0"]])
        def books(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
            yield from tell(Emit(BookShipment("o"), **options))
            return OrderFulfilled("t")

        return [str(issue) for issue in System([books]).check()]

    def leaves(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(Emit(BookShipment("o"), domain=(Domain.FROM_EVENT_CONTRACT,)))
        return OrderFulfilled("t")

    [issue] = check()
    assert "(domain=Domain.FROM_EVENT_CONTRACT is abroad here), got neither" in issue
    assert System([flow(order, "1.0.0", services=[abroad["1.0.0"]])(leaves)]).check() == ()
