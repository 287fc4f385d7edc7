"""Planted: the simulation finds every wrong store and every wrong worker."""

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
    order_request,
    payments,
    shipping,
)
from tests.testing.simulation import wrong

INVALID = FrozenDict({"order_id": 1})
STEPS_MAX = 12


@flow(order, "1.0.0", services=SERVICES)
def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Race two services, request another one, and wait for a timer."""
    yield from race(
        ask(ChargeCard(event.data.order_id, 1.0), CardCharged),
        ask(BookShipment(event.data.order_id), ShipmentBooked),
    )
    booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
    yield from sleep(60)
    return OrderFulfilled(booked.tracking)


system = System([payments, shipping, fulfil])


def events() -> list[Event[Any]]:
    """Return two orders, and an event with an invalid payload, which becomes a dead letter."""
    unreadable = charge["1.0.0"].accepts(ChargeCard("o9", 1.0), source="com.shop.web", id="bad")
    return [order_request("i1"), order_request("i2"), unreadable.with_payload(INVALID, INVALID)]


@pytest.mark.parametrize(
    ("store", "law"),
    [
        (wrong.LosesUpdates, "I4"),
        (wrong.PublishesFirst, "I5"),
        (wrong.ForgetsConsumedEvents, "I2"),
        (wrong.IgnoresHolders, "I6"),
        (wrong.FiresEarly, "I7"),
        (wrong.ForgetsTimers, "I1"),
        (wrong.DropsEvents, "I1"),
        (wrong.SkipsRecords, "I4"),
        (wrong.LosesDeadLetters, "I8"),
        (wrong.ReportsConflictsAsCommitted, "I4"),
        (wrong.NeverReleases, "I1"),
        (wrong.ReleasesKeysOnNack, "I4"),
        (wrong.IgnoresKeys, "I4"),
        (wrong.ReadsStaleRecords, "I4"),
        (wrong.ReportsFencedAsDuplicate, "I1"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_store_is_found(store: type[Store], law: str) -> None:
    """With the default number of runs, and in a run that fits on a page."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, events(), store=store)

    simulation = failed.value.simulation
    assert [violation.law for violation in simulation.violations] == [law]
    assert len(simulation.steps) <= STEPS_MAX


@pytest.mark.parametrize(
    ("worker", "law"),
    [
        (wrong.AcknowledgesFirst, "I1"),
        (wrong.IgnoresConflicts, "I1"),
        (wrong.DropsViolations, "I1"),
        (wrong.ForcesCommits, "I3"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_worker_is_found(worker: type[Worker], law: str) -> None:
    """The simulated workers run the code of a runtime."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, events(), worker=worker)

    simulation = failed.value.simulation
    assert [violation.law for violation in simulation.violations] == [law]
    assert len(simulation.steps) <= STEPS_MAX


def test_the_correct_store_and_worker_pass() -> None:
    """Under every kind of fault; otherwise the other tests would prove nothing."""
    assert simulate(system, events()).violations == ()
