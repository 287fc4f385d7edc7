"""Limits: they hold in every simulated run, and the simulation finds what breaks them."""

from typing import Any

import pytest

from arvo import (
    Effects,
    Emit,
    Event,
    EventHandler,
    Flow,
    Limit,
    System,
    ask,
    call,
    flow,
    gather,
)
from arvo.interpreters.worker.worker import Worker
from arvo.testing import SimulationFailed, Store, simulate
from tests.shop import (
    SERVICES,
    TIME,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    charge,
    order,
    order_request,
    shipping,
)
from tests.testing.simulation import wrong_limits

CONCURRENT = (
    Limit(concurrent=2),
    Limit(concurrent=1, per=lambda event: event.data.order_id),
)
RATE = (Limit(rate=2, seconds=1), Limit(concurrent=1, per=lambda event: event.data.order_id))

SHARES = (
    Limit(
        concurrent=1,
        priority=lambda event: 3 if event.data.order_id == "o2" else 0,
        fairness_key=lambda event: event.data.order_id,
    ),
)

# One customer has sent many before the others come.
MANY = ("o0",) * 8 + ("o1", "o2", "o0", "o0")


def look_up(key: str) -> str:
    """Return the account of a customer."""
    return key


def take_payment(event: Event[ChargeCard]) -> Effects[Emit]:
    """Perform an effect, which takes time."""
    yield from call(look_up, event.data.order_id)
    return Emit(CardCharged(event.data.order_id))


def take_at_once(event: Event[ChargeCard]) -> Emit:
    """Compute, so that a tick takes the turn."""
    return Emit(CardCharged(event.data.order_id))


def payments(*orders: str) -> list[Event[Any]]:
    """Return payments of customers."""
    version = charge["1.0.0"]
    return [
        version.accepts(ChargeCard(each, 1.0), source="com.shop.web", id=f"e{n}", time=TIME)
        for n, each in enumerate(orders)
    ]


def run(
    function: Any,
    limits: tuple[Limit, ...],
    orders: tuple[str, ...] = ("o0", "o1", "o2", "o0", "o1", "o2", "o0", "o1"),
    **options: Any,
) -> None:
    """Simulate the payments of a handler with limits."""
    system = System([EventHandler(charge, {"1.0.0": function}, limits=limits)])
    simulate(system, payments(*orders), effects={look_up: look_up}, **options)


@pytest.mark.parametrize("limits", [CONCURRENT, RATE], ids=["concurrent", "rate"])
@pytest.mark.parametrize("function", [take_payment, take_at_once])
def test_limits_hold_under_every_fault(function: Any, limits: tuple[Limit, ...]) -> None:
    """Crashes, pauses, lost answers and outages: none is exceeded, and every event is handled."""
    run(function, limits, runs=8)


def test_shares_hold_under_every_fault() -> None:
    """None waits for more of another customer than its share allows, and none for ever."""
    run(take_payment, SHARES, MANY, runs=8)


def test_a_store_that_ignores_shares_is_found() -> None:
    """A customer with many events delays the others."""
    with pytest.raises(SimulationFailed) as failed:
        run(take_payment, SHARES, MANY, store=wrong_limits.IgnoresShares, runs=50)

    assert "limit" in [violation.law for violation in failed.value.simulation.violations]


@flow(order, "1.0.0", services=SERVICES, limits=[Limit(concurrent=2)])
def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Ask the limited service, beside another one, and take some time."""
    yield from gather(
        ask(ChargeCard(event.data.order_id, 1.0), CardCharged),
        ask(BookShipment(event.data.order_id), ShipmentBooked),
    )
    key = yield from call(look_up, event.data.order_id)
    return OrderFulfilled(key)


def test_limits_hold_for_workflows_and_within_chains() -> None:
    """A turn whose event was never delivered takes no slot, so a chain stops before it."""
    limited = EventHandler(charge, {"1.0.0": take_at_once}, limits=CONCURRENT)
    orders = [order_request(f"i{number}") for number in range(4)]

    simulate(System([limited, shipping, fulfil]), orders, effects={look_up: look_up}, runs=8)


def test_a_version_that_adds_limits_is_deployed_without_a_loss() -> None:
    """The workers of the version before know no limits, and exceed them."""
    older = System([EventHandler(charge, {"1.0.0": take_payment})])

    run(take_payment, CONCURRENT, older=older, runs=6)


@pytest.mark.parametrize(
    ("store", "law"),
    [
        (wrong_limits.NeverWakes, "I1"),
        (wrong_limits.ParksNone, "limit"),
        (wrong_limits.IgnoresKeys, "limit"),
        (wrong_limits.FreesAtOnce, "limit"),
        (wrong_limits.KeepsSlots, "I1"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_store_that_holds_limits_wrongly_is_found(store: type[Store], law: str) -> None:
    """A backend of others may break any of these promises."""
    with pytest.raises(SimulationFailed) as failed:
        run(take_payment, CONCURRENT, store=store, runs=50)

    assert law in [violation.law for violation in failed.value.simulation.violations]


def test_a_worker_that_takes_no_slots_is_found() -> None:
    """The store cannot know that a handler has limits."""
    worker: type[Worker] = wrong_limits.ProcessesUnlimited
    with pytest.raises(SimulationFailed) as failed:
        run(take_payment, CONCURRENT, worker=worker, runs=50)

    assert [violation.law for violation in failed.value.simulation.violations] == ["limit"]
