"""Planted: stores and workers that are wrong on purpose are found, and soon."""

from typing import Any

import pytest

from arvo import Event, Flow, System, ask, flow, race, sleep
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.interpreters.runtime.worker import Worker
from arvo.testing import SimulationFailed, Store, simulate
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    charge,
    order,
    payments,
    placing,
    shipping,
)
from tests.testing.simulation import wrong

BAD = FrozenDict({"order_id": 1})
STEPS_MAX = 12


@flow(order, "1.0.0", services=SERVICES)
def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Two services at once, then another one, and a timer."""
    yield from race(
        ask(ChargeCard(event.data.order_id, 1.0), CardCharged),
        ask(BookShipment(event.data.order_id), ShipmentBooked),
    )
    booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
    yield from sleep(60)
    return OrderFulfilled(booked.tracking)


system = System([payments, shipping, fulfil])


def given() -> list[Event[Any]]:
    """Two orders, and one event that no handler can take: it must end as a dead letter."""
    unreadable = charge["1.0.0"].accepts(ChargeCard("o9", 1.0), source="com.shop.web", id="bad")
    return [placing("i1"), placing("i2"), unreadable.carrying(BAD, BAD)]


@pytest.mark.parametrize(
    ("store", "law"),
    [
        (wrong.LosesUpdates, "I4"),
        (wrong.PublishesFirst, "I5"),
        (wrong.RemembersNothingConsumed, "I2"),
        (wrong.LetsAnybodySettle, "I6"),
        (wrong.FiresEarly, "I7"),
        (wrong.ForgetsTimers, "I1"),
        (wrong.AppliesHalf, "I1"),
        (wrong.ForgetsRecord, "I4"),
        (wrong.LosesLetters, "I8"),
        (wrong.CallsConflictsCommitted, "I4"),
        (wrong.LosesWithItsWorker, "I1"),
        (wrong.ReadsOldRecords, "I4"),
        (wrong.CallsFencedSeen, "I1"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_wrong_store_is_found(store: type[Store], law: str) -> None:
    """Within the default budget, and in a story that fits on a page."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, given(), store=store)

    simulation = failed.value.simulation
    assert [each.law for each in simulation.broken] == [law]
    assert len(simulation.steps) <= STEPS_MAX


@pytest.mark.parametrize(
    ("worker", "law"),
    [
        (wrong.AcknowledgesFirst, "I1"),
        (wrong.TakesConflictsForDone, "I1"),
        (wrong.DropsWhatIsRefused, "I1"),
        (wrong.TrustsItsMemory, "I3"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_wrong_worker_is_found(worker: type[Worker], law: str) -> None:
    """The code that a runtime runs is what is simulated."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, given(), worker=worker)

    simulation = failed.value.simulation
    assert [each.law for each in simulation.broken] == [law]
    assert len(simulation.steps) <= STEPS_MAX


def test_the_right_store_and_the_right_worker_pass() -> None:
    """With every kind of fault, or the others prove nothing."""
    assert simulate(system, given()).broken == ()
