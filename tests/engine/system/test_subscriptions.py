"""Subscriptions: names for which a system keeps the ends of its workflows."""

from typing import Any

import pytest
from attrs import frozen

from arvo import Flow, System, Violated, service, workflow


@frozen
class Order:
    amount: int


@frozen
class Shipped:
    amount: int


@workflow("shop.order")
def order(request: Order) -> Flow[Shipped]:
    yield from ()
    return Shipped(request.amount)


@service("com.shop.ship")
def ship(request: Order) -> Shipped:
    return Shipped(request.amount)


def test_a_subscription_lists_contracts_and_functions_of_workflows() -> None:
    by_contract = System([order], subscriptions={"com.shop.billing": [order.contract]})
    assert by_contract == System([order], subscriptions={"com.shop.billing": [order]})
    assert by_contract != System([order])
    assert by_contract.subscribers(order.source) == ("com.shop.billing",)
    assert by_contract.is_elsewhere("com.shop.billing")
    elsewhere = System([], remote=[order], subscriptions={"com.shop.billing": [order]})
    assert elsewhere.subscriptions == by_contract.subscriptions


def test_a_subscription_may_be_empty() -> None:
    """Before its name is removed, the listener takes what is left."""
    assert System([order], subscriptions={"com.shop.billing": []}).subscribers(order.source) == ()


@pytest.mark.parametrize(
    ("subscriptions", "message"),
    [
        (
            {"com.shop.billing": [ship]},
            r"subscriptions\['com.shop.billing'\]\[0\]: expected the co",
        ),
        ({"com.shop.billing": [order["1.0.0"]]}, "expected the contract of a workflow"),
        ({"com.shop.billing": ["arvo.orc.shop.order"]}, "expected the contract of a workflow"),
        ({"com.shop.billing": [order, order.contract]}, "expected each contract once"),
        ({"com.shop.billing": order}, "expected a list of contracts"),
        ({"com.shop.billing": "arvo.orc.shop.order"}, "expected a list of contracts"),
        ({"com.shop.ship": [order]}, r"subscriptions\['com.shop.ship'\]: expected a name of its"),
        ({"arvo.orc.billing": [order]}, "expected a name of its own"),
        ({"Billing": [order]}, "expected a name of its own"),
        ({7: [order]}, "expected a name of its own"),
        ([order], "expected contracts of workflows by name"),
    ],
)
def test_what_is_no_subscription_is_refused(subscriptions: Any, message: str) -> None:
    with pytest.raises(Violated, match=message):
        System([order, ship], subscriptions=subscriptions)
