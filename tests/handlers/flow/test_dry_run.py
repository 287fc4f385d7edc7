"""DryRun: finds the operations that a flow's contracts do not cover, by running it."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Contract,
    Emit,
    Event,
    Fail,
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
    run,
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
    order_request,
    payment_handler,
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


def issues_of(script: Script) -> list[str]:
    """Return the issues that the check of a system finds in a flow."""
    handler = flow(order, "1.0.0", services=SERVICES, signals=[approval])(script)
    return [str(issue) for issue in System([payments, shipping, handler]).check()]


def rate(currency: str) -> float:
    raise AssertionError(currency)


def test_a_flow_that_fits_its_contracts_has_no_issues() -> None:
    """Every primitive, and both paths through each."""

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

    assert issues_of(fulfil) == []


def after(step: Callable[[], Flow[Any]]) -> Script:
    """Put a step where only a failed service or a declined card leads."""

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
    ("step", "message"),
    [
        (lambda: ask(PlaceOrder("o")), "ask: expected a request that one of com.payment.charge"),
        (lambda: ask(ChargeCard("o", 1.0), CardCharged), "expected CardDeclined among the replies"),
        (lambda: ask(BookShipment("o"), CardCharged, ShipmentBooked), "got CardCharged"),
        (lambda: tell(CardCharged("r")), "tell: expected a request that one of"),
        (lambda: compensate_with(CardCharged("r")), "compensate: expected a request that one of"),
        (lambda: wait_for(PlaceOrder), "expected a payload of one of com.approval.given"),
        (lambda: call_workflow(order["1.0.0"], PlaceOrder("o")), "got arvo.orc.order.fulfil"),
    ],
)
def test_an_operation_that_the_contracts_do_not_cover_is_an_issue(step: Any, message: str) -> None:
    """On whichever path of the flow it is."""
    (issue,) = issues_of(after(step))

    assert "arvo.orc.order.fulfil 1.0.0" in issue
    assert message in issue


def test_a_request_of_a_flow_without_services_is_an_issue() -> None:
    """The message must not offer an empty list of services."""

    @flow(order, "1.0.0", services=[])
    def lonely(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(ChargeCard("o", 1.0))
        return OrderFulfilled("t")

    (issue,) = System([lonely]).check()

    assert str(issue) == (
        "arvo.orc.order.fulfil 1.0.0 tell: expected nothing, because none is declared, "
        "got ChargeCard"
    )


def test_a_dry_run_ends() -> None:
    """A flow may run for ever, and branch at each step."""

    def ever(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        while True:
            yield from ask(ChargeCard("o", 1.0), CardCharged, CardDeclined)

    assert issues_of(ever) == []


def test_an_exception_of_the_flow_is_no_issue() -> None:
    """It may be due to the sample values."""

    def broken(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        raise LookupError(event.data.order_id)

    def at_once(event: Event[PlaceOrder]) -> Any:
        return continue_as_new(event.data)

    assert issues_of(broken) == []
    assert issues_of(at_once) == []


def returns_nothing(event: Event[PlaceOrder]) -> Flow[Any]:
    paid = yield from ask(ChargeCard("o", 1.0), CardCharged, CardDeclined)
    if isinstance(paid, CardCharged):
        return OrderFulfilled("t")


def returns_a_command(event: Event[PlaceOrder]) -> Flow[Any]:
    yield from sleep(1)
    return Fail("no")


def returns_a_class(event: Event[PlaceOrder]) -> Flow[Any]:
    yield from sleep(1)
    return OrderFulfilled


def returns_a_wait(event: Event[PlaceOrder]) -> Flow[Any]:
    yield from sleep(1)
    return _yields(None)


def is_no_generator(event: Event[PlaceOrder]) -> Flow[Any]:
    return None  # type: ignore[return-value]


def yields_a_command(event: Event[PlaceOrder]) -> Flow[Any]:
    yield from sleep(1)
    yield Fail("no")  # type: ignore[misc]


def yields_an_event(event: Event[PlaceOrder]) -> Flow[Any]:
    yield from _yields(Emit(BookShipment("o")))


def _yields(emit: Any) -> Flow[Any]:
    yield emit


_FAIL = "or `return fail(reason)` to fail"


@pytest.mark.parametrize(
    ("script", "place", "line", "mistake"),
    [
        (returns_nothing, "return of returns_nothing", 0, f"{_FAIL}, got None"),
        (returns_a_command, "return of returns_a_command", 0, f"{_FAIL}, got Fail(reason='no'"),
        (returns_a_class, "return of returns_a_class", 0, f"{_FAIL}, got <class 'tests."),
        (returns_a_wait, "return of returns_a_wait", 0, f"{_FAIL}, got <generator object"),
        (is_no_generator, "return of is_no_generator", 0, f"{_FAIL}, got None"),
        (yields_a_command, "yield", 2, "and `return fail(reason)` to fail, got Fail("),
        (yields_an_event, "yield", 5, "as `yield from tell(payload)`, got Emit("),
    ],
)
def test_what_a_flow_returns_or_yields_by_mistake_is_found_and_refused_with_its_line(
    script: Script, place: str, line: int, mistake: str
) -> None:
    """`None` or a `Fail` in the place of `fail` left a workflow waiting for good."""
    at = f"{place} at test_dry_run.py:{script.__code__.co_firstlineno + line}: expected "

    [issue] = issues_of(script)
    handler = flow(order, "1.0.0", services=SERVICES)(script)
    declining = payment_handler(lambda event: Emit(CardDeclined("no")))
    [violation] = run(System([declining, shipping, handler]), order_request()).violations

    for text in (issue, str(violation)):
        assert at in text
        assert mistake in text
