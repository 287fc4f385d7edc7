"""Simulate: a whole system, many workers, and whatever may go wrong."""

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
    charging,
    paying,
    placing,
    ship,
    shipping,
    shop,
    workflow,
)


def test_a_quiet_run_does_what_the_system_does() -> None:
    """Without faults it is `run`, with workers in between."""
    simulation = simulate(shop, [placing()], faults=[])

    assert [event.data for event in simulation.world.home] == [OrderFulfilled("t-o1")]
    assert [record.status for record in simulation.world.records.values()] == ["done"]
    assert len(simulation.steps) == 6
    assert simulation.world.at_rest


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
        Partition(0, 0.0, 30.0),
        Partition(1, 0.05, 1.0),
        ClockJump(0, 0.02, 3600.0),
        ClockJump(0, 0.02, -3600.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(5))
def test_a_fault_changes_nothing_in_the_end(fault: Any, seed: int) -> None:
    """I1, I2: nothing is lost and nothing is doubled, whatever hits."""
    quiet = simulate(shop, [placing()], faults=[])
    simulation = simulate(shop, [placing()], faults=[fault], seed=seed)

    assert _told(simulation.world) == _told(quiet.world)


def _told(world: World) -> tuple[Any, ...]:
    """Say what is left, without what may come more than once, and without times."""
    states = [(each.status, each.state, each.revision) for each in world.records.values()]
    return states, {(event.id, event.type) for event in world.home}, world.letters


def test_every_kind_of_fault_is_drawn_and_survived() -> None:
    """The search would be a narrow one otherwise; each kind alone, and all together."""
    for kind in FAULT_KINDS:
        simulation = simulate(shop, [placing("i1"), placing("i2")], kinds=[kind], runs=10)
        assert {type(fault) for fault in simulation.faults} <= {kind}
    simulate(shop, [placing("i1"), placing("i2")], runs=50)


SCRIPT = """
from arvo.testing import simulate
from tests.shop import placing, shop
simulation = simulate(shop, [placing("i1"), placing("i2")], seed=3, runs=4)
for step in simulation.steps:
    print(step.event, step.lane, step.worker, step.notes)
print(simulation)
"""


def test_the_same_seed_gives_the_same_run_in_every_process() -> None:
    """Not by chance, the order of a set, or the clock on the wall."""
    told = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(told) == 1
    assert told != {""}


def test_another_seed_gives_another_schedule() -> None:
    """Or there would be nothing to search."""
    orders = [placing(f"i{number}") for number in range(4)]
    schedules = {
        tuple((step.event.id, step.worker) for step in simulation.steps)
        for simulation in (simulate(shop, orders, faults=[], seed=seed) for seed in range(10))
    }

    assert len(schedules) == 10


def greedy(turn: Turn[Any]) -> Commands:
    """Charge twice at once, and count the receipts as they come: right, if they come in turn."""
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


def test_an_invariant_that_breaks_is_shown_in_its_shortest_story() -> None:
    """Who assumed an order of replies reads which order breaks it, and how to see it again."""

    def completes_with_the_first(world: World) -> bool:
        return all(each.tracking == "r-first" for each in world.payloads(OrderFulfilled))

    events = [placing("i1"), placing("i2"), placing("i3")]
    system = System([paying(lambda e: Emit(CardCharged(f"r-{e.data.order_id}"))), workflow(greedy)])
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, events, checks=[always(completes_with_the_first)])

    simulation = failed.value.simulation
    assert (len(simulation.events), simulation.faults, len(simulation.steps)) == (1, (), 5)
    said = str(failed.value)
    assert "completes_with_the_first: does not hold any more" in said
    assert "✗ completes_with_the_first is broken" in said
    assert said.endswith(simulation.line)
    again = eval(  # noqa: S307 - the line is meant to be pasted
        simulation.line.replace(
            "workers=", "checks=[always(completes_with_the_first)], workers="
        ).replace("simulate", "_broken"),
        {**globals(), **locals()},
    )
    assert again.steps[-1].notes == simulation.steps[-1].notes


def _broken(*args: Any, **options: Any) -> Any:
    with pytest.raises(SimulationFailed) as failed:
        simulate(*args, **options)
    return failed.value.simulation


def test_eventually_is_asked_when_all_is_over() -> None:
    """Not before: an order takes its time."""

    def delivered(world: World) -> bool:
        return len(world.payloads(OrderFulfilled)) == 1

    simulate(shop, [placing()], checks=[eventually(delivered)], runs=20)
    with pytest.raises(SimulationFailed, match="delivered: does not hold in the end"):
        simulate(shop, [placing(amount=2_000.0)], checks=[eventually(delivered)], runs=5)


async def charge_card(order_id: str) -> None:
    raise NotImplementedError


def charges(event: Event[ChargeCard]) -> Effects[Emit]:
    yield from call(charge_card, event.data.order_id)
    return Emit(CardCharged("r"))


def test_an_effect_that_a_crash_has_repeated_is_found() -> None:
    """At least once: whoever charges a card must hand on a key that makes it once."""

    def charged_once(world: World) -> bool:
        return len(world.performed) <= len(world.payloads(ChargeCard))

    table = {charge_card: lambda _: None}
    with pytest.raises(SimulationFailed) as failed:
        simulate(
            System([paying(charges)]), [charging()], effects=table, checks=[always(charged_once)]
        )

    simulation = failed.value.simulation
    assert simulation.broken[0].law == "charged_once"
    assert len(simulation.faults) == 1
    assert len(simulation.steps) <= 2


def test_events_that_an_invariant_speaks_of_are_kept() -> None:
    """The shortest story must be one of what went wrong, not of what was left out."""

    def all_three_are_delivered_for_three_charges(world: World) -> bool:
        return len(world.payloads(OrderFulfilled)) == len(world.performed) == 3

    others = [each for each in shop.handlers if each.source != "com.payment.charge"]
    with pytest.raises(SimulationFailed) as failed:
        simulate(
            System([*others, paying(charges)]),
            [placing(f"i{number}") for number in range(3)],
            effects={charge_card: lambda _: None},
            checks=[eventually(all_three_are_delivered_for_three_charges)],
            kinds=[Crash],
        )

    assert len(failed.value.simulation.events) == 3
    assert len(failed.value.simulation.faults) == 1


def test_sometimes_must_be_seen_once_in_all_runs() -> None:
    """An invariant that is never put to the test holds for the wrong reason."""

    def declined(world: World) -> bool:
        return bool(world.payloads(CardDeclined))

    events = [placing("i1"), placing("i2", amount=2_000.0)]
    simulate(shop, events, checks=[sometimes(declined)], runs=3)
    with pytest.raises(SimulationFailed, match="declined: holds at no moment of 3 runs"):
        simulate(shop, events[:1], checks=[sometimes(declined)], runs=3)


def test_effects_come_from_a_table_with_their_retries() -> None:
    """In virtual time: a minute of waiting costs nothing."""
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

    system = System([paying(handler)])
    simulation = simulate(system, [charging()], effects={fetch: shaky}, faults=[])

    assert simulation.world.payloads(CardCharged) == [CardCharged("receipt")]
    assert tries == ["o1"] * 3
    with pytest.raises(Violated, match="effect is asked for that the table lacks"):
        simulate(system, [charging()], faults=[])


def test_people_answer_what_leaves_by_their_domain() -> None:
    """A person in the loop, played by a function."""
    domains = HandlerDomains(emits=("desk",))
    review = EventHandler(
        Contract(
            uri="#/contracts/review",
            type="com.desk.review",
            versions={"1.0.0": Version(accepts=ChargeCard, emits={"evt.desk.open": BookShipment})},
        ),
        {"1.0.0": lambda event: Emit(BookShipment(event.data.order_id))},
        domains=domains,
    )
    begins = review.contract["1.0.0"].accepts(ChargeCard("o1", 1.0), source="com.shop.web", id="r1")

    def person(event: Event[Any]) -> Iterator[Event[Any]]:
        yield charging("from the desk")

    system = System([review, paying(lambda _: Emit(CardCharged("r")))])
    simulation = simulate(system, [begins], domain_listeners={"desk": person}, faults=[])

    assert [event.type for event in simulation.world.outside] == ["evt.desk.open"]
    assert simulation.world.payloads(CardCharged) == [CardCharged("r")]


def test_services_that_are_not_there_are_played() -> None:
    """The workflow alone is under test; what its services may say is up to the test."""
    alone = System([each for each in shop.handlers if isinstance(each, Resumable)])
    behaviours = [paying(lambda _: Emit(CardDeclined("no"))), shipping]

    simulation = simulate(alone, [placing()], behaviours=behaviours, faults=[])

    [record] = simulation.world.records.values()
    assert record.status == "failed"
    assert simulation.world.payloads(ShipmentBooked) == []


def test_services_are_played_by_behaviours_too() -> None:
    """Those that `behaviours` draws: whatever a contract permits."""
    alone = System([each for each in shop.handlers if isinstance(each, Resumable)])
    declines = Behaviour(charge["1.0.0"], (Answer("evt.payment.declined", CardDeclined("no")),))
    books = Behaviour(ship["1.0.0"], (Answer("evt.shipping.booked", ShipmentBooked("t")),))

    simulation = simulate(alone, [placing()], behaviours=[declines, books], faults=[])

    assert simulation.world.payloads(CardDeclined) == [CardDeclined("no")]


def test_a_handler_that_counts_is_found() -> None:
    """I3: what a handler remembers by itself differs from worker to worker."""
    calls: list[str] = []

    def handler(event: Event[ChargeCard]) -> Emit:
        calls.append(event.id)
        return Emit(CardCharged(f"r-{len(calls)}"))

    with pytest.raises(SimulationFailed, match="I3: the same step, taken once more"):
        simulate(System([paying(handler)]), [charging()])


def test_two_who_answer_each_other_for_ever_are_found() -> None:
    """Nothing comes to rest; the search should not either say so by hanging."""

    def again(turn: Turn[Any]) -> Commands:
        return Emit(ChargeCard("o1", 1.0))

    system = System([paying(lambda _: Emit(CardCharged("r"))), workflow(again)])

    with pytest.raises(SimulationFailed, match="rest: nothing has come to rest"):
        simulate(system, [placing()], faults=[], workers=1)
