"""Chains: how many requests a workflow takes on a pair, and what a chain does not overtake."""

import asyncio
from typing import Any, get_args

import pytest

from arvo import Commands, Complete, Emit, Event, Persist, Resumable, System, Turn
from tests.handlers.test_signals import Approve, approve, signal
from tests.interpreters.crashes import CallFault, Chaining, run_with_fault
from tests.shop import (
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    order,
    order_request,
    payments,
    shop,
)

REGISTER = ["read", "write"]
# The answer to a caller for which no request waits here: another worker may have its listener.
ANSWER = ["deliver", "read", "ack"]


@pytest.mark.parametrize(
    ("chaining", "calls"),
    [
        ("a workflow's", ["deliver", "has_others", "write", "publish", "index", "ack", *ANSWER]),
        ("a turn's", 3 * ["deliver", "write", "publish", "index", "ack"] + ANSWER),
    ],
)
def test_a_workflow_with_two_services_takes_few_requests(
    chaining: Chaining, calls: list[str]
) -> None:
    """Each costs a round trip, and the time of a driver: together they bound the throughput."""
    fault = CallFault()

    asyncio.run(run_with_fault(shop, [order_request()], fault, chaining=chaining))

    assert fault.calls == REGISTER + calls


def listing(turn: Turn[Any]) -> Commands:
    """Ask for a payment, and list what happens until it is approved and paid."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id, amount=amount):
            return Persist([]), Emit(ChargeCard(order_id, amount))
        case Approve(by=name):
            seen = [*turn.state, name]
        case CardCharged():
            seen = [*turn.state, "paid"]
        case _:
            return None
    return Persist(seen) if len(seen) < 3 else Complete(OrderFulfilled(", ".join(seen)))


@pytest.mark.promise("I4")
@pytest.mark.parametrize("chaining", get_args(Chaining))
def test_a_chain_overtakes_no_event_that_the_broker_accepted_before(chaining: Chaining) -> None:
    """I4: the signals were sent before the reply was emitted, though both wait in the broker."""
    handler = Resumable(order, {"1.0.0": listing}, services=SERVICES, signals=[approve["1.0.0"]])
    events: list[Event[Any]] = [order_request(), signal("one"), signal("two")]

    outcome = asyncio.run(
        run_with_fault(System([payments, handler]), events, CallFault(), chaining=chaining)
    )

    [record] = set(outcome["records"].values())
    assert (record.status, record.state) == ("done", ["one", "two"])
