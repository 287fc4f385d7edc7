"""Simulated orders: the example's system under faults, in each of its forms."""

from collections import Counter
from itertools import count

import pytest
from attrs import evolve

from arvo import Event, Stamp, System, stamping
from arvo.testing import FAULT_KINDS, World, always, eventually, simulate, sometimes
from docs.examples.orders import carrier
from docs.examples.orders.contracts import Item, OrderClosed, PlaceOrder
from docs.examples.orders.shop import order_event
from docs.examples.orders.systems import SYSTEMS
from tests.shop import TIME

TEA = PlaceOrder("ord-0001", "c-0001", "tok-1", "NL", (Item("kenya-250g", 2),), 2580)
EFFECTS = {carrier.request_tracking: carrier.tracking_for}


def orders() -> list[Event[PlaceOrder]]:
    """Return an order that is shipped, one that is declined, and one that the carrier refuses."""
    placed = (
        TEA,
        evolve(TEA, order_id="ord-0002", card="tok-2-expired"),
        evolve(TEA, order_id="ord-0003", country="IS"),
    )
    numbers = count()
    with stamping(lambda: Stamp(f"run-{next(numbers)}", TIME)):
        return [order_event(order) for order in placed]


def each_order_closes_once(world: World) -> bool:
    """An order has one outcome."""
    closed = Counter(order.order_id for order in world.payloads(OrderClosed))
    return all(times == 1 for times in closed.values())


def all_come_to_an_end(world: World) -> bool:
    """Each order is answered: closed, or failed with a reason."""
    statuses = sorted(record.status for record in world.records.values())
    return statuses == ["done", "done", "failed"] and len({e.id for e in world.replies}) == 3


def an_order_is_shipped(world: World) -> bool:
    """The search reaches a successful order."""
    return any(order.outcome == "shipped" for order in world.payloads(OrderClosed))


CHECKS = [
    always(each_order_closes_once),
    eventually(all_come_to_an_end),
    sometimes(an_order_is_shipped),
]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_no_fault_loses_or_doubles_an_order(system: System) -> None:
    """Every kind of fault, up to four in a run."""
    simulate(system, orders(), checks=CHECKS, effects=EFFECTS, runs=30)


@pytest.mark.deep
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_no_fault_loses_or_doubles_an_order_in_a_thousand_runs(system: System) -> None:
    """The same, searched further; and each kind of fault alone."""
    simulate(system, orders(), checks=CHECKS, effects=EFFECTS, seed=1_000, runs=1_000)
    for kind in FAULT_KINDS:
        simulate(system, orders(), checks=CHECKS, effects=EFFECTS, kinds=[kind], runs=50)
