"""Simulate: a whole system with many workers, under every kind of fault."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from arvo import (
    Commands,
    Complete,
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Fail,
    HandlerDomains,
    Persist,
    Resumable,
    Retry,
    System,
    Turn,
    Version,
    Violated,
    call,
)
from arvo.testing import (
    FAULT_KINDS,
    Answer,
    Behaviour,
    ClockJump,
    Crash,
    Delay,
    Drop,
    Duplicate,
    LostAnswer,
    LostRequest,
    Partition,
    Pause,
    Reorder,
    SimulationFailed,
    World,
    always,
    eventually,
    simulate,
    sometimes,
)
from tests.shop import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    charge,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    ship,
    shipping,
    shop,
)


def test_a_quiet_run_does_what_the_system_does() -> None:
    """Without faults the result equals that of `run`."""
    simulation = simulate(shop, [order_request()], faults=[])

    assert [event.data for event in simulation.world.replies] == [OrderFulfilled("t-o1")]
    assert [record.status for record in simulation.world.records.values()] == ["done"]
    assert len(simulation.steps) == 6
    assert simulation.world.is_idle


@pytest.mark.promise("I1", "I2")
@pytest.mark.parametrize(
    "fault",
    [
        Delay(1, 10.0),
        Duplicate(2),
        Reorder(3),
        Drop(2),
        Crash(3, "before"),
        Crash(3, "after"),
        Pause(3, 60.0),
        Pause(3, 5.01),
        LostAnswer(4),
        LostRequest(4),
        Partition(0, 0.0, 30.0),
        Partition(1, 0.05, 1.0),
        ClockJump(0, 0.02, 3600.0),
        ClockJump(0, 0.02, -3600.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(5))
def test_a_fault_does_not_change_the_result(fault: Any, seed: int) -> None:
    """I1, I2: no event is lost and none is applied twice, whichever fault hits."""
    quiet = simulate(shop, [order_request()], faults=[])
    simulation = simulate(shop, [order_request()], faults=[fault], seed=seed)

    assert final_state(simulation.world) == final_state(quiet.world)


def final_state(world: World) -> tuple[Any, ...]:
    """Return the final state, without times and without repeated deliveries."""
    states = [(record.status, record.state, record.revision) for record in world.records.values()]
    return states, {(event.id, event.type) for event in world.replies}, world.dead_letters


def test_every_kind_of_fault_is_drawn_and_survived() -> None:
    """Each kind alone, and all kinds together."""
    for kind in FAULT_KINDS:
        simulation = simulate(
            shop, [order_request("i1"), order_request("i2")], kinds=[kind], runs=10
        )
        assert {type(fault) for fault in simulation.faults} <= {kind}
    simulate(shop, [order_request("i1"), order_request("i2")], runs=50)


SCRIPT = """
from arvo.testing import simulate
from tests.shop import order_request, shop
for storage in ("store", "pair"):
    orders = [order_request("i1"), order_request("i2")]
    simulation = simulate(shop, orders, seed=3, runs=4, storage=storage)
    for step in simulation.steps:
        print(step.event, step.queue, step.worker, step.notes)
    print(simulation)
"""


def test_the_same_seed_gives_the_same_run_in_every_process() -> None:
    """It does not depend on randomness, the order of sets, or the system clock."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([".", *sys.path])},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(outputs) == 1
    assert outputs != {""}


def test_another_seed_gives_another_schedule() -> None:
    """Otherwise many runs would find no more than one."""
    orders = [order_request(f"i{number}") for number in range(4)]
    schedules = {
        tuple((step.event.id, step.worker) for step in simulation.steps)
        for simulation in (simulate(shop, orders, faults=[], seed=seed) for seed in range(10))
    }

    assert len(schedules) == 10


def completes_with_the_first_receipt(turn: Turn[Any]) -> Commands:
    """Send two requests at once, and complete with the receipt that comes first."""
    match turn.event.data:
        case PlaceOrder():
            asks = (Emit(ChargeCard("first", 1.0)), Emit(ChargeCard("second", 1.0)))
            return Persist({"first": None}), *asks
        case CardCharged(receipt=receipt):
            if turn.state["first"] is None:
                return Persist({"first": receipt})
            return Complete(OrderFulfilled(turn.state["first"]))
        case other:
            return Fail(f"unexpected: {other}")


def test_a_broken_invariant_is_reported_in_its_shortest_run() -> None:
    """The report has the order of replies that breaks it, and the line that repeats the run."""

    def completes_with_the_first(world: World) -> bool:
        return all(order.tracking == "r-first" for order in world.payloads(OrderFulfilled))

    events = [order_request("i1"), order_request("i2"), order_request("i3")]
    system = System(
        [
            payment_handler(lambda e: Emit(CardCharged(f"r-{e.data.order_id}"))),
            make_workflow(completes_with_the_first_receipt),
        ]
    )
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, events, checks=[always(completes_with_the_first)])

    simulation = failed.value.simulation
    assert (len(simulation.events), simulation.faults, len(simulation.steps)) == (1, (), 5)
    report = str(failed.value)
    assert "completes_with_the_first: no longer holds" in report
    assert "✗ completes_with_the_first: no longer holds" in report
    assert report.endswith(simulation.reproduction)
    again = eval(  # noqa: S307 - the line is meant to be run
        simulation.reproduction.replace(
            "workers=", "checks=[always(completes_with_the_first)], workers="
        ).replace("simulate", "_failed_simulation"),
        {**globals(), **locals()},
    )
    assert again.steps[-1].notes == simulation.steps[-1].notes


def _failed_simulation(*args: Any, **options: Any) -> Any:
    with pytest.raises(SimulationFailed) as failed:
        simulate(*args, **options)
    return failed.value.simulation


def test_eventually_is_checked_at_the_end_of_a_run() -> None:
    """Not before: an order takes several steps."""

    def delivered(world: World) -> bool:
        return len(world.payloads(OrderFulfilled)) == 1

    simulate(shop, [order_request()], checks=[eventually(delivered)], runs=20)
    with pytest.raises(SimulationFailed, match="delivered: does not hold at the end"):
        simulate(shop, [order_request(amount=2_000.0)], checks=[eventually(delivered)], runs=5)


async def charge_card(order_id: str) -> None:
    raise NotImplementedError


def charges(event: Event[ChargeCard]) -> Effects[Emit]:
    yield from call(charge_card, event.data.order_id)
    return Emit(CardCharged("r"))


def test_an_effect_that_is_repeated_after_a_crash_is_found() -> None:
    """Effects run at least once, so a payment needs an idempotency key."""

    def charged_once(world: World) -> bool:
        return len(world.performed) <= len(world.payloads(ChargeCard))

    table = {charge_card: lambda _: None}
    with pytest.raises(SimulationFailed) as failed:
        simulate(
            System([payment_handler(charges)]),
            [charge_request()],
            effects=table,
            checks=[always(charged_once)],
        )

    simulation = failed.value.simulation
    assert simulation.violations[0].law == "charged_once"
    assert len(simulation.faults) == 1
    assert len(simulation.steps) <= 2


def test_shrinking_keeps_the_events_that_an_invariant_depends_on() -> None:
    """The shortest run must show the bug, not the effect of a missing event."""

    def all_three_are_delivered_for_three_charges(world: World) -> bool:
        return len(world.payloads(OrderFulfilled)) == len(world.performed) == 3

    others = [handler for handler in shop.handlers if handler.source != "com.payment.charge"]
    with pytest.raises(SimulationFailed) as failed:
        simulate(
            System([*others, payment_handler(charges)]),
            [order_request(f"i{number}") for number in range(3)],
            effects={charge_card: lambda _: None},
            checks=[eventually(all_three_are_delivered_for_three_charges)],
            kinds=[Crash],
        )

    assert len(failed.value.simulation.events) == 3
    assert len(failed.value.simulation.faults) == 1


def test_sometimes_must_hold_once_in_all_runs() -> None:
    """Otherwise the runs never reach the situation that an invariant is about."""

    def declined(world: World) -> bool:
        return bool(world.payloads(CardDeclined))

    events = [order_request("i1"), order_request("i2", amount=2_000.0)]
    simulate(shop, events, checks=[sometimes(declined)], runs=3)
    with pytest.raises(SimulationFailed, match="declined: never holds in 3 runs"):
        simulate(shop, events[:1], checks=[sometimes(declined)], runs=3)


def test_effects_run_functions_of_a_table_with_their_retries() -> None:
    """In virtual time, so a delay of a minute takes no time."""
    tries: list[str] = []

    async def fetch(order_id: str) -> str:
        raise NotImplementedError

    def shaky(order_id: str) -> str:
        tries.append(order_id)
        if len(tries) < 3:
            raise ConnectionError("down")
        return "receipt"

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        retry = Retry(attempts=3, delay=60.0)
        return Emit(CardCharged((yield from call(fetch, event.data.order_id, retry=retry))))

    system = System([payment_handler(handler)])
    simulation = simulate(system, [charge_request()], effects={fetch: shaky}, faults=[])

    assert simulation.world.payloads(CardCharged) == [CardCharged("receipt")]
    assert tries == ["o1"] * 3
    with pytest.raises(Violated, match="no function replaces this effect"):
        simulate(system, [charge_request()], faults=[])


def test_a_domain_listener_answers_the_events_of_its_domain() -> None:
    """A function takes the part of a human reviewer."""
    domains = HandlerDomains(emits=("review",))
    review = EventHandler(
        Contract(
            uri="#/contracts/review",
            type="com.review.order",
            versions={
                "1.0.0": Version(accepts=ChargeCard, emits={"evt.review.open": BookShipment})
            },
        ),
        {"1.0.0": lambda event: Emit(BookShipment(event.data.order_id))},
        domains=domains,
    )
    begins = review.contract["1.0.0"].accepts(ChargeCard("o1", 1.0), source="com.shop.web", id="r1")

    def reviewer(event: Event[Any]) -> Iterator[Event[Any]]:
        yield charge_request("from the review")

    system = System([review, payment_handler(lambda _: Emit(CardCharged("r")))])
    simulation = simulate(system, [begins], domain_listeners={"review": reviewer}, faults=[])

    assert [event.type for event in simulation.world.domain_events] == ["evt.review.open"]
    assert simulation.world.payloads(CardCharged) == [CardCharged("r")]


def test_missing_services_are_replaced_by_handlers() -> None:
    """The test examines the workflow alone, and decides how its services reply."""
    alone = System([handler for handler in shop.handlers if isinstance(handler, Resumable)])
    behaviours = [payment_handler(lambda _: Emit(CardDeclined("no"))), shipping]

    simulation = simulate(alone, [order_request()], behaviours=behaviours, faults=[])

    [record] = simulation.world.records.values()
    assert record.status == "failed"
    assert simulation.world.payloads(ShipmentBooked) == []


def test_missing_services_are_replaced_by_behaviours() -> None:
    """`behaviours` draws them: they reply with anything that a contract permits."""
    alone = System([handler for handler in shop.handlers if isinstance(handler, Resumable)])
    declines = Behaviour(charge["1.0.0"], (Answer("evt.payment.declined", CardDeclined("no")),))
    books = Behaviour(ship["1.0.0"], (Answer("evt.shipping.booked", ShipmentBooked("t")),))

    simulation = simulate(alone, [order_request()], behaviours=[declines, books], faults=[])

    assert simulation.world.payloads(CardDeclined) == [CardDeclined("no")]


@pytest.mark.promise("I3")
def test_a_handler_with_state_of_its_own_is_found() -> None:
    """I3: this state differs between workers, so the same step gives another commit."""
    calls: list[str] = []

    def handler(event: Event[ChargeCard]) -> Emit:
        calls.append(event.id)
        return Emit(CardCharged(f"r-{len(calls)}"))

    with pytest.raises(SimulationFailed, match="I3: the same step gives another commit"):
        simulate(System([payment_handler(handler)]), [charge_request()])


def test_two_handlers_that_reply_to_each_other_forever_are_found() -> None:
    """The system is never idle, and the simulation must not hang."""

    def repeats(turn: Turn[Any]) -> Commands:
        return Emit(ChargeCard("o1", 1.0))

    system = System([payment_handler(lambda _: Emit(CardCharged("r"))), make_workflow(repeats)])

    with pytest.raises(SimulationFailed, match="idle: the system is not idle"):
        simulate(system, [order_request()], faults=[], workers=1)
