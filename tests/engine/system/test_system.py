"""System: the handlers of one application, as a value."""

from typing import Any

import pytest

from arvo import Contract, EventHandler, System, Version, Violated
from tests.shop import (
    BookShipment,
    ChargeCard,
    book_shipment,
    charge,
    fulfilment,
    payments,
    shipping,
    shop,
    take_payment,
)

ANY_HANDLER = "an EventHandler, a Resumable, an Orchestrator or a function decorated with @flow"


def test_two_handlers_at_one_address_are_both_named() -> None:
    """An event could reach only one of them."""
    other = Contract(
        uri="#/other", type="com.payment.charge", versions={"1.0.0": Version(accepts=ChargeCard)}
    )

    with pytest.raises(Violated) as refused:
        System([payments, EventHandler(other, {"1.0.0": lambda _: None})])

    assert str(refused.value.violation.issues[0]) == (
        "handlers[1]: expected a unique address, got com.payment.charge of #/other, "
        "which #/contracts/payment/charge uses already"
    )


@pytest.mark.parametrize(
    ("uri", "version", "expected"),
    [
        (
            "#/contracts/shipping/other",
            "1.0.0",
            (
                "the contract of its handler, #/contracts/shipping/other, "
                "got #/contracts/shipping/book"
            ),
        ),
        ("#/contracts/shipping/book", "2.0.0", "a version that its handler has (2.0.0), got 1.0.0"),
        (
            "#/contracts/shipping/book",
            "1.0.0",
            "#/contracts/shipping/book/1.0.0 as its handler declares it, got a different contract",
        ),
    ],
)
def test_a_workflow_calls_a_service_by_the_contract_of_its_handler(
    uri: str, version: str, expected: str
) -> None:
    """Wrong wiring fails at construction, with both sides in the message."""
    real = Contract(
        uri=uri, type="com.shipping.book", versions={version: Version(accepts=BookShipment)}
    )

    with pytest.raises(Violated) as refused:
        System([fulfilment, EventHandler(real, {version: lambda _: None})])

    assert str(refused.value.violation.issues[0]).startswith(
        f"#/orchestrators/order calls com.shipping.book: expected {expected}"
    )


@pytest.mark.parametrize(
    ("handlers", "issue"),
    [
        (payments, "handlers: expected a list of handlers: System([handler]), got EventHandler("),
        ([payments, charge], f"handlers[1]: expected {ANY_HANDLER}, got Contract: "),
        ([[payments]], f"handlers[0]: expected {ANY_HANDLER}, got list: ["),
        ([take_payment], f"handlers[0]: expected {ANY_HANDLER}, got function: <function"),
    ],
    ids=["one handler", "a contract", "a nested list", "a function"],
)
def test_an_argument_that_is_not_a_handler_is_named_with_the_remedy(
    handlers: Any, issue: str
) -> None:
    """A newcomer passes a contract or a bare function first."""
    with pytest.raises(Violated) as refused:
        System(handlers)

    assert refused.value.violation.message.startswith("a system is made of ")
    assert str(refused.value.violation.issues[0]).startswith(issue)


def test_a_service_may_run_in_another_process() -> None:
    """Several processes share one backend."""
    assert System([fulfilment]).addresses == ("arvo.orc.order.fulfil",)


def test_a_system_is_a_value() -> None:
    """Systems can be compared, and handlers found by address."""
    same = System([payments, shipping, fulfilment])

    assert shop == same
    assert shop.handler_at("com.payment.charge") is payments
    assert shop.handler_at("com.no.one") is None
    assert shop.handler_at(None) is None
    assert take_payment is payments.functions["1.0.0"]
    assert book_shipment is shipping.functions["1.0.0"]
