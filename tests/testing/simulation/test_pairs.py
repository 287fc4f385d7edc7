"""Pairs: the simulation runs the code of a pair, and finds every wrong part of one."""

from collections.abc import Mapping
from typing import Any

import pytest

from arvo.interpreters.paired.backend import COMMIT_SECONDS_MAX
from arvo.testing import (
    ClockJump,
    Crash,
    Fault,
    LostAnswer,
    LostRequest,
    Outage,
    OutboxCrash,
    PairModel,
    Partition,
    PartitionedBroker,
    Pause,
    Poison,
    SimulationFailed,
    simulate,
)
from tests.draws import draws
from tests.shop import charge_request, order_request, shop
from tests.testing.simulation import wrong_pairs as wrong
from tests.testing.simulation.test_planted import STUBS, effectful, events, system
from tests.testing.simulation.test_simulate import final_state

# A list is wrong only behind the last turn of a workflow.
STEPS_MAX = 20


@pytest.mark.promise("I1", "I2", "I4")
@pytest.mark.parametrize(
    "fault",
    [
        OutboxCrash(1, "write"),
        OutboxCrash(2, "write"),
        OutboxCrash(1, "publish"),
        OutboxCrash(3, "send", 60.0),
        Crash(3, "before"),
        Crash(3, "after"),
        Pause(3, 60.0),
        Pause(3, 5.01),
        LostAnswer(4),
        LostRequest(4),
        Partition(0, 0.0, 30.0),
        Outage("broker", 0.1, 1.0),
        Outage("broker", 0.1, 20.0),
        Outage("store", 0.1, 1.0),
        Outage("store", 0.1, 20.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(3))
def test_a_fault_of_a_pair_does_not_change_the_result(fault: Fault, seed: int) -> None:
    """With three processes, of which each reaches the memory and the broker on its own."""
    quiet = simulate(shop, [order_request()], faults=[], storage="pair")
    simulation = simulate(shop, [order_request()], faults=[fault], seed=seed, storage="pair")

    assert final_state(simulation.world) == final_state(quiet.world)


@pytest.mark.promise("I1", "I2")
@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("workers", [1, 3])
def test_a_pause_beyond_the_limit_of_a_commit_ends_no_worker(at: int, workers: int) -> None:
    """It is given up wherever it was, also where its delivery has been settled."""
    # A death is written beside the workflow, and forgotten once the delivery is settled.
    faults: list[Fault] = [Poison(1, 2, 5.0), Pause(at, COMMIT_SECONDS_MAX + 10.0)]
    quiet = simulate(shop, [order_request()], faults=[], storage="pair")
    simulation = simulate(shop, [order_request()], faults=faults, storage="pair", workers=workers)

    assert final_state(simulation.world) == final_state(quiet.world)


def test_a_pair_has_the_outcome_of_a_transactional_store() -> None:
    """Without faults the two differ in nothing that leaves the system or remains."""
    orders = [order_request("i1"), order_request("i2", amount=2_000.0)]
    on_a_pair = simulate(shop, orders, faults=[], storage="pair")
    on_a_store = simulate(shop, orders, faults=[], storage="store")

    assert (on_a_pair.storage, on_a_store.storage) == ("pair", "store")
    assert final_state(on_a_pair.world) == final_state(on_a_store.world)


def test_runs_draw_both_kinds_of_storage() -> None:
    """A test of a system need not choose one."""
    drawn = {simulate(shop, [order_request()], seed=seed, runs=1).storage for seed in range(10)}

    assert drawn == {"store", "pair"}


@pytest.mark.promise("I1", "I2", "I4")
def test_the_pair_passes_with_a_correct_memory_and_broker() -> None:
    """Under every kind of fault, and with a broker that delivers timers early."""
    assert simulate(system, events(), storage="pair", runs=draws(40, 400)).violations == ()
    early = PairModel(broker=wrong.DeliversEarly)
    assert simulate(system, events(), storage=early, runs=draws(20, 200)).violations == ()


@pytest.mark.parametrize(
    ("parts", "laws"),
    [
        ({"broker": wrong.ReleasesKeysOnNack}, ["I4"]),
        ({"broker": wrong.IgnoresKeys}, ["I4"]),
        ({"broker": wrong.SeesNoOthers}, ["I4"]),
        ({"broker": wrong.NeverRedelivers}, ["I1"]),
        ({"broker": wrong.ForgetsDelayed}, ["I1"]),
        ({"broker": wrong.DeliversEarly, "pair": wrong.LosesDeferred}, ["I1"]),
        ({"broker": PartitionedBroker, "pair": wrong.NacksToTheBroker}, ["I4"]),
        ({"memory": wrong.LosesUpdates}, ["I4", "I2"]),
        ({"memory": wrong.ReadsStaleValues}, ["I4"]),
        ({"memory": wrong.LosesWrites}, ["I4"]),
        ({"pair": wrong.AcknowledgesFirst}, ["I4", "I1", "I2"]),
        ({"pair": wrong.AcknowledgesChainsFirst}, ["I4", "I1", "I2"]),
        ({"pair": wrong.PublishesFirst}, ["I5"]),
        ({"pair": wrong.ForgetsOutput}, ["I1"]),
        ({"pair": wrong.WritesChainsWithoutOutput}, ["I1"]),
        ({"pair": wrong.LosesDeadLetters}, ["I8"]),
        ({"pair": wrong.IndexesOnce}, ["list"]),
    ],
    ids=lambda value: (
        "-".join(part.__name__ for part in value.values()) if isinstance(value, dict) else ""
    ),
)
def test_a_wrong_part_of_a_pair_is_found(parts: Mapping[str, Any], laws: list[str]) -> None:
    """With the default number of runs, and in a run that fits on a page."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(system, events(), storage=PairModel(**parts))

    simulation = failed.value.simulation
    assert simulation.violations[0].law in laws
    assert len(simulation.steps) <= STEPS_MAX
    assert "storage='pair'" in simulation.reproduction


def test_an_outbox_that_is_not_sent_after_a_crash_is_found_by_that_crash() -> None:
    """The order was written, and its requests would never leave."""
    model = PairModel(pair=wrong.ForgetsOutput)
    with pytest.raises(SimulationFailed, match=r"I1: .* accepted and never settled"):
        simulate(system, events(), storage=model, faults=[OutboxCrash(1, "write")])


# The commit of the shop that ends an order.
LAST_TURN = 5


def test_a_turn_that_is_not_indexed_after_a_crash_is_found_by_that_crash() -> None:
    """Its workflow would be listed as it was before its last turn; the next one would mend that."""
    model = PairModel(pair=wrong.IndexesOnce)
    with pytest.raises(SimulationFailed, match="list: the index has the revisions"):
        simulate(shop, [order_request()], storage=model, faults=[OutboxCrash(LAST_TURN, "send")])


def test_a_pair_that_loses_the_results_of_effects_is_found() -> None:
    """The next process would perform them again."""
    model = PairModel(pair=wrong.DropsCheckpoints)
    with pytest.raises(SimulationFailed) as failed:
        simulate(effectful, [charge_request()], effects=STUBS, storage=model)

    assert [violation.law for violation in failed.value.simulation.violations] == ["effects"]


def test_a_timer_is_not_early_where_the_broker_and_one_clock_are() -> None:
    """I7 is found where a broker delivers early and the clock of the worker is ahead."""
    jumps = [ClockJump(worker, 0.0, 3600.0) for worker in range(3)]
    with pytest.raises(SimulationFailed, match=r"I7: timer .* fired .* early"):
        simulate(
            system, events(), storage=PairModel(broker=wrong.DeliversEarly), faults=jumps, runs=5
        )
