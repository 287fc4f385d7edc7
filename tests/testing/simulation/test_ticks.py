"""Ticks: simulated workers that commit chains, and stores that do it wrong."""

from typing import Any

import pytest

from arvo import Commands, Complete, Emit, Event, Persist, System, Turn
from arvo.testing import SimulationFailed, Store, simulate
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    make_workflow,
    order_request,
    payments,
    shipping,
    shop,
)
from tests.testing.simulation import wrong_chains
from tests.testing.simulation.test_planted import STEPS_MAX, cancelled_orders, events, system


def test_workers_with_and_without_ticks_do_the_same() -> None:
    """A worker with ticks takes the turns of an order in one transaction, so few are deliveries."""
    runs = [
        simulate(shop, [order_request()], faults=[], seed=seed, storage="store")
        for seed in range(10)
    ]

    assert {len(run.steps) for run in runs} >= {2, 6}
    for run in runs:
        assert [event.data for event in run.world.replies] == [OrderFulfilled("t-o1")]
        assert [record.revision for record in run.world.records.values()] == [3]
        assert len(run.world.sent) == 6


def test_workers_of_a_pair_with_and_without_ticks_do_the_same() -> None:
    """Where the broker says that no other event of the order waits, its turns are one document."""
    runs = [
        simulate(shop, [order_request()], faults=[], seed=seed, storage="pair")
        for seed in range(10)
    ]

    assert {len(run.steps) for run in runs} >= {2, 6}
    for run in runs:
        assert [event.data for event in run.world.replies] == [OrderFulfilled("t-o1")]
        assert [record.revision for record in run.world.records.values()] == [3]
        assert len(run.world.sent) == 6


def gather(turn: Turn[Any]) -> Commands:
    """Charge several cards at once, and wait for all of them."""
    match turn.event.data:
        case PlaceOrder():
            return tuple(Emit(ChargeCard("o1", 1.0), id=f"charge-{place}") for place in range(4))
        case CardCharged() if len(turn.collected["evt.payment.charged"]) == 4:
            return Complete(OrderFulfilled("all"))
        case _:
            return None


gathering = System([payments, shipping, make_workflow(gather)])


def test_replies_that_wait_for_a_workflow_share_a_transaction() -> None:
    """Their turns are taken in their order, with all faults."""
    orders = [order_request("i1"), order_request("i2")]

    runs = [simulate(gathering, orders, seed=seed, runs=1, storage="store") for seed in range(60)]

    together = [
        step for run in runs for step in run.steps if any("behind" in note for note in step.notes)
    ]
    assert len(together) > 5
    for run in runs:
        assert {event.data for event in run.world.replies} == {OrderFulfilled("all")}


def charges_twice(turn: Turn[Any]) -> Commands:
    """Send the same request in two turns."""
    match turn.event.data:
        case PlaceOrder():
            return Persist({}), Emit(ChargeCard("o1", 1.0), id="charge"), Emit(BookShipment("o1"))
        case ShipmentBooked():
            return Emit(ChargeCard("o1", 1.0), id="charge")
        case _:
            return None


repeating = System([payments, shipping, make_workflow(charges_twice)])


@pytest.mark.parametrize(
    ("store", "system", "sent", "law"),
    [
        (wrong_chains.PassesWaitingEvents, system, events(), "I4"),
        (wrong_chains.FollowersInReverse, gathering, [order_request()], "I4"),
        (wrong_chains.SkipsFollowers, gathering, [order_request()], "I4"),
        (wrong_chains.AppliesHalfAChain, repeating, [order_request()], "I1"),
        (wrong_chains.SkipsLastTurns, system, events(), "I1"),
        (wrong_chains.ForgetsChainedEvents, repeating, [order_request()], "I2"),
        (wrong_chains.StoresChainedEvents, system, events(), "I5"),
        (wrong_chains.CommitsChainsPastCancellations, system, cancelled_orders(), "stop"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_store_that_commits_chains_wrong_is_found(
    store: type[Store], system: System, sent: list[Event[Any]], law: str
) -> None:
    """With the default number of runs, and in a run that fits on a page."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, sent, store=store)

    simulation = failed.value.simulation
    assert simulation.violations[0].law == law
    assert len(simulation.steps) <= STEPS_MAX


def test_a_request_that_is_sent_twice_keeps_all_promises() -> None:
    """Whether its first turn was taken in a chain or not."""
    simulate(repeating, [order_request()], storage="store", runs=50)
