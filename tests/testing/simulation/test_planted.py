"""Planted: the simulation finds every wrong store and every wrong worker."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from arvo import Effects, Emit, Event, Flow, System, ask, call, flow, race, sleep
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.interpreters.worker.worker import Worker
from arvo.testing import EffectCrash, PairModel, SimulationFailed, Store, simulate
from tests.draws import draws
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    charge,
    charge_request,
    order,
    order_request,
    payment_handler,
    payments,
    shipping,
)
from tests.testing.simulation import wrong, wrong_pairs

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


async def ask_bank(order_id: str) -> str:
    raise NotImplementedError(order_id)


def charge_by_bank(event: Event[ChargeCard]) -> Effects[Emit]:
    """Perform two effects before the answer."""
    yield from call(ask_bank, f"reserve {event.data.order_id}")
    receipt = yield from call(ask_bank, f"charge {event.data.order_id}")
    return Emit(CardCharged(receipt))


effectful = System([payment_handler(charge_by_bank)])
STUBS = {ask_bank: lambda order_id: f"receipt of {order_id}"}


def test_a_store_that_loses_the_results_of_effects_is_found() -> None:
    """The next worker would perform them again."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(effectful, [charge_request()], effects=STUBS, store=wrong.DropsCheckpoints)

    simulation = failed.value.simulation
    assert [violation.law for violation in simulation.violations] == ["effects"]
    assert len(simulation.steps) <= STEPS_MAX


@pytest.mark.parametrize(("when", "performed"), [("before", 3), ("after", 2)])
@pytest.mark.parametrize("seed", range(5))
def test_a_death_between_two_effects_repeats_only_the_one_without_a_stored_result(
    when: Any, performed: int, seed: int
) -> None:
    """For the first effect as for the second."""
    for at in (1, 2):
        simulation = simulate(
            effectful,
            [charge_request()],
            effects=STUBS,
            faults=[EffectCrash(at, when)],
            seed=seed,
        )

        assert simulation.violations == ()
        assert len(simulation.world.performed) == performed
        assert simulation.world.is_idle


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
    assert simulate(system, events(), runs=draws(60, 400)).violations == ()


@flow(order, "1.0.0", services=SERVICES)
def fulfil_by_bank(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Perform effects before a request and after its reply."""
    yield from call(ask_bank, event.data.order_id)
    paid = yield from ask(
        ChargeCard(event.data.order_id, 1.0), CardCharged, compensate=BookShipment("back")
    )
    yield from call(ask_bank, paid.receipt)
    yield from ask(BookShipment("out"), ShipmentBooked)
    return OrderFulfilled("t")


def cancelled_orders() -> list[Event[Any]]:
    """Return orders, and the cancellation of each at another moment of its turns."""
    events: list[Event[Any]] = []
    for number, seconds in enumerate((0.0, 0.03, 0.06, 0.1, 0.15)):
        begin = order_request(f"i{number}")
        time = datetime.fromisoformat(begin.time) + timedelta(seconds=seconds)
        stop = order["1.0.0"].cancel("enough", source="com.shop.web", subject=begin.subject)
        events += (begin, evolve(stop, id=f"stop-{number}", time=time.isoformat()))
    return events


@pytest.mark.parametrize(
    "planted",
    [
        {"store": wrong.CommitsPastCancellations},
        {"storage": PairModel(pair=wrong_pairs.CommitsPastCancellations)},
        {"storage": "store", "worker": wrong.PassesOverCancellations},
        {"storage": "pair", "worker": wrong.PassesOverCancellations},
    ],
)
def test_a_turn_that_is_committed_past_a_cancellation_is_found(planted: Any) -> None:
    """The payment goes out although the workflow was stopped before."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, cancelled_orders(), **planted)

    simulation = failed.value.simulation
    assert [violation.law for violation in simulation.violations] == ["stop"]
    assert len(simulation.steps) <= STEPS_MAX


@pytest.mark.parametrize("workflow", [fulfil, fulfil_by_bank])
def test_a_cancellation_at_any_time_keeps_all_promises(workflow: Any) -> None:
    """In a first turn or a later one, with effects or without, under all faults."""
    shop = System([payments, shipping, workflow])
    simulate(shop, cancelled_orders(), effects=STUBS, runs=draws(40, 400))
