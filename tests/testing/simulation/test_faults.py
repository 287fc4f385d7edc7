"""Faults: each kind is survived by a correct part, and finds the wrong one planted for it."""

import re
from collections.abc import Mapping
from math import inf
from typing import Any

import pytest

from arvo.interpreters.worker.worker import Worker
from arvo.testing import (
    FAULT_KINDS,
    Fault,
    Forge,
    LateCancel,
    Oversize,
    PairModel,
    Poison,
    ReuseId,
    SimulationFailed,
    SlowListener,
    Store,
    World,
    eventually,
    simulate,
)
from tests.draws import draws
from tests.shop import OrderFulfilled, order_request, shop
from tests.testing.simulation import wrong_losses as wrong
from tests.testing.simulation.busy import OPTIONS, events, look_up, system

STEPS_MAX = 20
ALL_KINDS = (*FAULT_KINDS, Oversize, LateCancel, ReuseId)


def is_done(world: World) -> bool:
    """Both orders are done, and both notices have left."""
    statuses = [record.status for record in world.records.values()]
    return statuses == ["done", "done"] and len({e.id for e in world.domain_events}) == 2


@pytest.mark.promise("I1", "I2", "I4", "I8", "I11")
def test_no_drawn_fault_changes_the_outcome() -> None:
    """Under several faults at once, on a store and on a pair."""
    simulate(system, events(), **OPTIONS, checks=[eventually(is_done)], runs=draws(60, 400))


def test_refused_and_cancelled_events_break_no_promise() -> None:
    """They change the outcome, so these faults are drawn only where a test asks for them."""
    simulate(system, events(), **OPTIONS, kinds=ALL_KINDS, runs=draws(40, 400))


def _part_of(value: object) -> str:
    """Return the name of the wrong part, for the id of a test."""
    return "-".join(re.findall(r"wrong_losses\.(\w+)", str(value)))


@pytest.mark.parametrize(
    ("kind", "parts", "laws"),
    [
        (Poison, {"store": wrong.CountsNoDeaths}, ["I11"]),
        (Poison, {"worker": wrong.StartsSuspects, "storage": "store"}, ["I11"]),
        (Poison, {"storage": PairModel(broker=wrong.ForgetsReturns)}, ["I11"]),
        (Poison, {"storage": PairModel(pair=wrong.MarksNoStart)}, ["I11"]),
        (SlowListener, {"worker": wrong.WaitsForListeners, "storage": "store"}, ["I1"]),
        (SlowListener, {"worker": wrong.WaitsForListeners, "storage": "pair"}, ["I1"]),
        (Oversize, {"storage": PairModel(broker=wrong.DropsTooLarge)}, ["I8"]),
        (Oversize, {"storage": PairModel(pair=wrong.SkipsTooLarge)}, ["I8", "I1"]),
        # A turn passes the cancellation before the end shows that it is lost.
        (LateCancel, {"store": wrong.LosesLateCancellations}, ["I1", "I4", "stop"]),
        (LateCancel, {"store": wrong.CancellationsOvertake}, ["I4"]),
        (ReuseId, {"store": wrong.ComparesIdsOnly}, ["I2"]),
        (ReuseId, {"storage": PairModel(pair=wrong.DropsReusedIds)}, ["I2"]),
        # A forged timer fires early.
        (Forge, {"door": wrong.let_in}, ["I12", "I7"]),
        (Forge, {"door": wrong.let_in, "storage": "pair"}, ["I12", "I7"]),
    ],
    ids=_part_of,
)
def test_a_planted_fault_is_found_by_its_kind(
    kind: type[Fault], parts: Mapping[str, Any], laws: list[str]
) -> None:
    """In a run that fits on a page; and no other kind of fault is needed."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, events(), **OPTIONS, kinds=[kind], **parts)

    simulation = failed.value.simulation
    assert simulation.violations[0].law in laws
    assert {type(fault) for fault in simulation.faults} == {kind}
    assert len(simulation.steps) <= STEPS_MAX


@pytest.mark.parametrize(
    ("store", "worker", "law"),
    [(wrong.CountsNoDeaths, Worker, "I11"), (Store, wrong.WaitsForListeners, "I1")],
    ids=["deaths", "listeners"],
)
def test_a_planted_fault_is_found_by_default(
    store: type[Store], worker: type[Worker], law: str
) -> None:
    """Among all kinds that a test of a system draws."""
    with pytest.raises(SimulationFailed, match=f"{law}: "):
        simulate(system, events(), **OPTIONS, store=store, worker=worker)


@pytest.mark.promise("I11")
@pytest.mark.parametrize("storage", ["store", "pair"])
def test_an_event_that_ends_its_workers_becomes_a_dead_letter(storage: Any) -> None:
    """After as many deaths as attempts; the events behind it go through."""
    first, second = order_request("i1"), order_request("i2")
    for seed in range(5):
        simulation = simulate(
            shop, [first, second], faults=[Poison(1, 100)], seed=seed, storage=storage
        )

        [dead_letter] = simulation.world.dead_letters
        assert (dead_letter.reason, dead_letter.attempts) == ("its worker died 5 times", 5)
        assert simulation.world.payloads(OrderFulfilled) == [OrderFulfilled("t-o1")]
        ended = [step for step in simulation.steps if "ended its worker" in step.notes]
        assert len(ended) == 5


@pytest.mark.parametrize("storage", ["store", "pair"])
def test_a_listener_that_hangs_is_called_again(storage: Any) -> None:
    """And the other domains and events do not wait for it: both notices leave."""
    for fault in (SlowListener(1, inf), SlowListener(2, 90.0), SlowListener(1, 1.0)):
        simulation = simulate(
            system,
            events(),
            **OPTIONS,
            faults=[fault],
            checks=[eventually(is_done)],
            storage=storage,
        )
        assert simulation.world.dead_letters == []


@pytest.mark.promise("I8")
def test_an_event_above_the_limit_of_the_broker_becomes_a_dead_letter() -> None:
    """At any point of the run. An event from outside is refused to its sender instead."""
    outside = {event.id for event in events()}
    for at in range(1, 13):
        simulation = simulate(
            system, events(), **OPTIONS, faults=[Oversize(at)], seed=at, storage="pair"
        )
        world = simulation.world
        accepted = outside & {step.event.id for step in simulation.steps}
        reasons = [dead_letter.reason for dead_letter in world.dead_letters]
        if accepted == outside:
            assert reasons == ["the message is above the size limit of the broker"]
        else:
            assert len(accepted) == 3
            assert reasons == []


@pytest.mark.promise("I2")
@pytest.mark.parametrize("storage", ["store", "pair"])
def test_another_event_with_a_known_id_is_a_dead_letter(storage: Any) -> None:
    """I2: after each delivery; the first events keep their effect."""
    found = 0
    for at in range(1, 17):
        simulation = simulate(
            system,
            events(),
            **OPTIONS,
            faults=[ReuseId(at)],
            checks=[eventually(is_done)],
            storage=storage,
        )
        reasons = [dead_letter.reason for dead_letter in simulation.world.dead_letters]
        assert all("another event with this id was consumed" in reason for reason in reasons)
        found += len(reasons)

    assert found > 8


@pytest.mark.parametrize("storage", ["store", "pair"])
def test_a_workflow_that_is_cancelled_during_an_effect_ends(storage: Any) -> None:
    """The cancellation waits for the turn in progress, and is the next one."""
    for seed in range(5):
        for at in (1, 2):
            faults = [LateCancel(at, "effect")]
            simulation = simulate(
                system, [order_request()], **OPTIONS, faults=faults, seed=seed, storage=storage
            )

            [record] = simulation.world.records.values()
            assert record.status == "cancelled"
            assert not simulation.world.payloads(OrderFulfilled)


@pytest.mark.parametrize("storage", ["store", "pair"])
def test_an_effect_with_a_result_above_the_limit_fails_its_workflow(storage: Any) -> None:
    """1 MiB is the limit of every backend; its initiator learns of the failure."""
    huge = {look_up: lambda _: "x" * 1_100_000}
    simulation = simulate(system, [order_request()], effects=huge, faults=[], storage=storage)

    [record] = simulation.world.records.values()
    assert record.status == "failed"
    [reply] = simulation.world.replies
    assert "is too large" in reply.data.message


@pytest.mark.promise("I12")
@pytest.mark.parametrize("storage", ["store", "pair"])
@pytest.mark.parametrize("forgery", ["reply", "error", "timer", "cancellation", "request"])
def test_only_the_door_refuses_a_forged_event(forgery: Any, storage: Any) -> None:
    """I12: at each delivery; without the door the search finds each kind of forgery."""
    forged = [[Forge(at, forgery)] for at in range(1, 17)]

    def search(**parts: Any) -> None:
        for faults in forged:
            simulate(system, events(), **OPTIONS, faults=faults, storage=storage, **parts)

    search()
    with pytest.raises(SimulationFailed) as failed:
        search(door=wrong.let_in)

    # A forged timer fires early.
    assert failed.value.simulation.violations[0].law in ({"timer": "I7"}.get(forgery), "I12")
