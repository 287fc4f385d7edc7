"""System: handlers that fit each other."""

import pytest

from arvo import Contract, EventHandler, System, Version, Violated
from tests.shop import (
    BookShipment,
    ChargeCard,
    book,
    fulfilment,
    payments,
    shipping,
    shop,
    take_payment,
)


def test_two_handlers_at_one_address_are_named_both() -> None:
    """An event could go to only one of them."""
    other = Contract(
        uri="#/other", type="com.payment.charge", versions={"1.0.0": Version(accepts=ChargeCard)}
    )

    with pytest.raises(Violated) as refused:
        System([payments, EventHandler(other, {"1.0.0": lambda _: None})])

    assert str(refused.value.violation.issues[0]) == (
        "handlers[1]: expected an address of its own, got com.payment.charge of #/other, "
        "taken by #/contracts/payment/charge"
    )


@pytest.mark.parametrize(
    ("uri", "version", "told"),
    [
        (
            "#/contracts/shipping/other",
            "1.0.0",
            "its handler's contract #/contracts/shipping/other, got #/contracts/shipping/book",
        ),
        ("#/contracts/shipping/book", "2.0.0", "a version that its handler has (2.0.0), got 1.0.0"),
        (
            "#/contracts/shipping/book",
            "1.0.0",
            "#/contracts/shipping/book/1.0.0 as its handler has it, got a contract of that name",
        ),
    ],
)
def test_a_workflow_asks_a_service_by_the_services_own_contract(
    uri: str, version: str, told: str
) -> None:
    """Wrong wiring fails at construction, and both sides are named."""
    real = Contract(
        uri=uri, type="com.shipping.book", versions={version: Version(accepts=BookShipment)}
    )

    with pytest.raises(Violated) as refused:
        System([fulfilment, EventHandler(real, {version: lambda _: None})])

    assert str(refused.value.violation.issues[0]).startswith(
        f"#/orchestrators/order asks com.shipping.book: expected {told}"
    )


def test_a_service_may_live_elsewhere() -> None:
    """Several processes share one backend."""
    assert System([fulfilment]).addresses == ("arvo.orc.order.fulfil",)


def test_a_system_is_a_value() -> None:
    """It is compared, and found by address."""
    same = System([payments, shipping, fulfilment])

    assert shop == same
    assert shop.handler_at("com.payment.charge") is payments
    assert shop.handler_at("com.nobody.here") is None
    assert shop.handler_at(None) is None
    assert take_payment is payments.functions["1.0.0"]
    assert book is shipping.functions["1.0.0"]
