"""Rehearsal: what a flow's contracts do not know, found by running it."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Contract,
    Event,
    Flow,
    ServiceFailed,
    System,
    Version,
    ask,
    call,
    call_workflow,
    compensate_with,
    continue_as_new,
    fail,
    flow,
    gather,
    race,
    sleep,
    tell,
    wait_for,
)
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    order,
    payments,
    shipping,
)


@frozen
class Approved:
    by: str


approval = Contract(
    uri="#/contracts/approval",
    type="com.approval.given",
    versions={"1.0.0": Version(accepts=Approved)},
)["1.0.0"]

Script = Callable[[Event[PlaceOrder]], Flow[Any]]


def noted(script: Script) -> list[str]:
    """Say what the check of a system notes of a flow."""
    handler = flow(order, "1.0.0", services=SERVICES, signals=[approval])(script)
    return [str(issue) for issue in System([payments, shipping, handler]).check()]


def rate(currency: str) -> float:
    raise AssertionError(currency)


def test_a_flow_that_knows_its_contracts_has_nothing_noted() -> None:
    """Every word, and both ways through each."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(rate, "EUR")
        paid = yield from ask(ChargeCard("o", 1.0), CardCharged, CardDeclined)
        if isinstance(paid, CardDeclined):
            return fail(paid.reason)
        yield from compensate_with(BookShipment("o"))
        yield from gather(sleep(1), race(wait_for(Approved, deadline=60), sleep(1)))
        yield from ask(BookShipment("o"), ShipmentBooked)
        yield from tell(BookShipment("o"))
        return OrderFulfilled("t")

    assert noted(fulfil) == []


def after(step: Callable[[], Flow[Any]]) -> Script:
    """Put a step where only a failure of a service and a declined card lead to."""

    def script(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            paid = yield from ask(ChargeCard("o", 1.0), CardCharged, CardDeclined)
        except ServiceFailed:
            yield from step()
        else:
            if isinstance(paid, CardDeclined):
                yield from step()
        return OrderFulfilled("t")

    return script


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda: ask(PlaceOrder("o")), "ask: expected what one of com.payment.charge"),
        (lambda: ask(ChargeCard("o", 1.0), CardCharged), "expected CardDeclined among the replies"),
        (lambda: ask(BookShipment("o"), CardCharged, ShipmentBooked), "got CardCharged"),
        (lambda: tell(CardCharged("r")), "emit: expected what one of"),
        (lambda: compensate_with(CardCharged("r")), "undo: expected what one of"),
        (lambda: wait_for(PlaceOrder), "expected a payload of one of com.approval.given"),
        (lambda: call_workflow(order["1.0.0"], PlaceOrder("o")), "got arvo.orc.order.fulfil"),
    ],
)
def test_what_the_contracts_do_not_know_is_noted(step: Any, said: str) -> None:
    """Wherever it stands in the flow."""
    (issue,) = noted(after(step))

    assert "arvo.orc.order.fulfil 1.0.0" in issue
    assert said in issue


def test_a_rehearsal_comes_to_an_end() -> None:
    """A flow may go on for ever, and branch at each step."""

    def ever(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        while True:
            yield from ask(ChargeCard("o", 1.0), CardCharged, CardDeclined)

    assert noted(ever) == []


def test_an_exception_of_the_flow_says_nothing() -> None:
    """Samples are no real values."""

    def broken(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        raise LookupError(event.data.order_id)

    def at_once(event: Event[PlaceOrder]) -> Any:
        return continue_as_new(event.data)

    assert noted(broken) == []
    assert noted(at_once) == []
