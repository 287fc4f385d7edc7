"""Begins: workflows whose ids their senders chose, under faults."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest
from attrs import frozen

from arvo import (
    Event,
    Flow,
    OrchestratorContract,
    ServiceFailed,
    System,
    Workflow,
    call_workflow,
    flow,
)
from arvo.core.begin import compare_begin
from arvo.testing import (
    PairModel,
    SimulationFailed,
    World,
    always,
    eventually,
    simulate,
    sometimes,
)
from tests.shop import (
    NOW,
    WEB,
    CardCharged,
    OrderFulfilled,
    PlaceOrder,
    order,
    shop,
)
from tests.testing.simulation import wrong, wrong_pairs

STORAGES: Sequence[Literal["store", "pair"]] = ("store", "pair")


def begin(
    amount: float = 10.0, after: float = 0.0, key: str = "order-1", **options: Any
) -> Event[PlaceOrder]:
    """Make a begin that comes so many seconds after the first event."""
    time = (NOW + timedelta(seconds=after)).isoformat(timespec="milliseconds")
    return order["1.0.0"].init(
        PlaceOrder("o1", amount), **{"source": WEB, "workflow_id": key, "time": time, **options}
    )


def charges(world: World) -> int:
    return len(world.payloads(CardCharged))


def is_charged_once(world: World) -> bool:
    return charges(world) <= 1


def has_one_answer(world: World) -> bool:
    return len(world.payloads(OrderFulfilled)) == 1


@pytest.mark.promise("I2")
@pytest.mark.parametrize("storage", STORAGES)
def test_doubled_begins_begin_once(storage: Literal["store", "pair"]) -> None:
    """I2: the same payload changes nothing, whenever it comes; another one is a dead letter."""
    others = [begin(20.0, key="order-1", id="other", after=after) for after in (0.0, 60.0)]
    doubled = [begin(), begin(id="again"), begin(after=30.0), begin(id="late", after=60.0)]

    def is_refused(world: World) -> bool:
        """Whichever of both payloads is first, the other one is refused."""
        [record] = world.records.values()
        dead = {dead_letter.event.id for dead_letter in world.dead_letters}
        sent = [*doubled, *others]
        return dead == {it.id for it in sent if compare_begin(record, it) == "other"}

    simulate(
        shop,
        [*doubled, *others],
        checks=[always(is_charged_once), eventually(has_one_answer), eventually(is_refused)],
        storage=storage,
        runs=40,
    )


@pytest.mark.promise("I2")
@pytest.mark.parametrize("storage", STORAGES)
def test_the_next_run_follows_by_its_policy_alone(storage: Literal["store", "pair"]) -> None:
    """I2: one that is sent again while its run is active, or after that, begins no third one."""
    follows = [begin(id="next", id_reuse_policy="allow", after=after) for after in (0.1, 60.0, 99)]

    simulate(
        shop,
        [begin(), *follows, begin(id="failed", id_reuse_policy="allow_if_failed", after=120.0)],
        checks=[
            always(lambda world: charges(world) <= 2),
            sometimes(lambda world: charges(world) == 2),
        ],
        storage=storage,
        runs=40,
    )


@frozen
class Visit:
    city: str


@frozen
class Visited:
    words: str


visit = OrchestratorContract(
    uri="#/orchestrators/visit",
    name="visit",
    versions={"1.0.0": Workflow(init=Visit, complete=Visited)},
)


@flow(visit, "1.0.0", services=[order["1.0.0"]])
def sightsee(event: Event[Visit]) -> Flow[Visited]:
    ticket = PlaceOrder("o1", 10.0)
    try:
        yield from call_workflow(order["1.0.0"], ticket, workflow_id=f"ticket-{event.data.city}")
    except ServiceFailed as failed:
        return Visited(failed.fault.name)
    return Visited("with a ticket")


@pytest.mark.promise("I2")
@pytest.mark.parametrize("storage", STORAGES)
def test_a_child_with_an_id_of_its_own_begins_once(storage: Literal["store", "pair"]) -> None:
    """I2: of two parents that ask for it, one gets its answer, and the other one the conflict."""
    visits = [
        visit["1.0.0"].init(
            Visit("rome"),
            source=WEB,
            workflow_id=f"visit-{number}",
            time=NOW.isoformat(timespec="milliseconds"),
        )
        for number in range(2)
    ]

    def has_both_outcomes(world: World) -> bool:
        words = sorted(visited.words for visited in world.payloads(Visited))
        return words == ["WorkflowAlreadyStarted", "with a ticket"]

    simulate(
        System([sightsee, *shop.handlers]),
        [*visits, *visits],
        checks=[always(is_charged_once), eventually(has_both_outcomes)],
        storage=storage,
        runs=40,
    )


def begins_from(*sources: str, **options: Any) -> list[Event[PlaceOrder]]:
    """Make begins with one workflow id from several addresses."""
    return [begin(source=source, **options) for source in sources]


@pytest.mark.promise("I2")
@pytest.mark.parametrize("storage", STORAGES)
def test_beginners_at_several_addresses_begin_one_run(storage: Literal["store", "pair"]) -> None:
    """I2: whichever is first, its run answers it, and the others are dead letters."""
    events = begins_from(WEB, "com.shop.app", "com.shop.import")

    def is_refused(world: World) -> bool:
        [record] = world.records.values()
        dead = {dead_letter.event.subject for dead_letter in world.dead_letters}
        return dead == {event.subject for event in events} - {record.subject}

    simulate(
        shop,
        [*events, *events],
        checks=[always(is_charged_once), eventually(has_one_answer), eventually(is_refused)],
        storage=storage,
        runs=60,
    )


@pytest.mark.promise("I2")
@pytest.mark.parametrize("storage", STORAGES)
def test_next_runs_at_several_addresses_follow_each_other(
    storage: Literal["store", "pair"],
) -> None:
    """I2: the policy allows a run after the last one has ended, and never beside it."""
    follows = [
        begin(source=source, id=f"{source}-{at}", id_reuse_policy="allow", after=at)
        for source in (WEB, "com.shop.app")
        for at in (0.0, 60.0, 60.1)
    ]

    simulate(
        shop,
        follows,
        checks=[sometimes(lambda world: charges(world) >= 2)],
        storage=storage,
        runs=60,
    )


tour = OrchestratorContract(
    uri="#/orchestrators/tour",
    name="tour",
    versions={"1.0.0": Workflow(init=Visit, complete=Visited)},
)


@flow(tour, "1.0.0", services=[order["1.0.0"]])
def travel(event: Event[Visit]) -> Flow[Visited]:
    ticket = PlaceOrder("o1", 10.0)
    try:
        yield from call_workflow(order["1.0.0"], ticket, workflow_id=f"ticket-{event.data.city}")
    except ServiceFailed as failed:
        return Visited(failed.fault.name)
    return Visited("with a ticket")


@pytest.mark.promise("I2")
@pytest.mark.parametrize("storage", STORAGES)
def test_parents_of_two_types_begin_one_child(storage: Literal["store", "pair"]) -> None:
    """I2: the other one gets the conflict as a system error, and does not wait for ever."""
    events = [
        contract["1.0.0"].init(
            Visit("rome"), source=WEB, id=name, time=NOW.isoformat(timespec="milliseconds")
        )
        for name, contract in (("visit", visit), ("tour", tour))
    ]

    def has_both_outcomes(world: World) -> bool:
        words = sorted(visited.words for visited in world.payloads(Visited))
        return words == ["WorkflowAlreadyStarted", "with a ticket"]

    simulate(
        System([sightsee, travel, *shop.handlers]),
        events,
        checks=[always(is_charged_once), eventually(has_both_outcomes)],
        storage=storage,
        runs=40,
    )


@pytest.mark.parametrize(
    "planted",
    [
        {"store": wrong.ForgetsOtherRuns},
        {"storage": PairModel(pair=wrong_pairs.ForgetsOtherRuns)},
    ],
    ids=["store", "pair"],
)
def test_a_store_that_begins_a_second_run_is_found(planted: Any) -> None:
    """Of two begins at the same moment neither sees the record of the other one."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(shop, begins_from(WEB, "com.shop.app", "com.shop.import"), **planted)

    assert "begin" in [violation.law for violation in failed.value.simulation.violations]


def test_a_worker_that_begins_again_is_found() -> None:
    """It would place the order twice."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(
            shop,
            [begin(id="first"), begin(20.0, id="second", after=60.0)],
            worker=wrong.BeginsAgain,
        )

    laws = [violation.law for violation in failed.value.simulation.violations]
    assert "begin" in laws
