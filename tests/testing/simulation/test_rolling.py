"""Rolling: workers with the version before, until a deploy replaces them."""

from typing import Any

import pytest

from arvo import Event
from arvo.interpreters.worker.worker import Worker
from arvo.testing import (
    Crash,
    Fault,
    OldVersion,
    SimulationFailed,
    Store,
    World,
    eventually,
    simulate,
)
from tests.draws import draws
from tests.interpreters.rolling import (
    charge_event,
    new,
    old,
    old_charge,
    order_event,
    refund_event,
)
from tests.shop import TIME, WEB, ChargeCard
from tests.testing.simulation import wrong

STEPS_MAX = 16
# Long after everything is done, but for the events that only an old worker is there to take.
NEVER = 3600.0


def events() -> list[Event[Any]]:
    """Return events of a new version and a new handler, and none that an old worker knows."""
    return [charge_event(1), order_event(1), refund_event(1)]


def is_done(world: World) -> bool:
    """Both workflows are done, and each event was handled."""
    statuses = [record.status for record in world.records.values()]
    return statuses == ["done", "done"] and len(world.replies) >= len(events())


def test_a_rolling_deploy_loses_nothing() -> None:
    """With crashes and pauses besides: what live workers serve is never a dead letter (I8)."""
    runs = draws(50, 400)
    assert simulate(new, events(), older=old, runs=runs).violations == ()
    assert simulate(new, events(), older=old, kinds=[OldVersion], runs=runs).violations == ()


def test_with_one_new_worker_every_event_is_handled() -> None:
    """The old ones hand over what they lack, and the replies to it."""
    faults = [OldVersion(0, NEVER), OldVersion(1, NEVER)]
    for seed in range(10):
        simulation = simulate(
            new, events(), older=old, faults=faults, seed=seed, checks=[eventually(is_done)]
        )

        assert simulation.world.dead_letters == []
        assert any("is left to other workers" in step.notes for step in simulation.steps)


def test_events_wait_for_the_first_new_worker() -> None:
    """All three workers are old for 20 seconds, and a crash delays the first new one."""
    deploy = (OldVersion(number, 20.0) for number in range(3))
    faults: list[Fault] = [*deploy, Crash(2, "before", 1.0)]
    simulation = simulate(new, events(), older=old, faults=faults, checks=[eventually(is_done)])
    assert simulation.world.dead_letters == []


def test_what_no_worker_serves_ends_as_a_dead_letter_with_its_reason() -> None:
    """After the grace period, and at the old workers alone."""
    faults = [OldVersion(number, NEVER) for number in range(3)]
    known = old_charge["1.0.0"].accepts(ChargeCard("o0", 1.0), source=WEB, id="known", time=TIME)
    simulation = simulate(new, [charge_event(1), known], older=old, faults=faults)

    [dead_letter] = simulation.world.dead_letters
    assert dead_letter.reason.endswith(
        "; no registered worker serves com.pay.charge 2.0.0 (registered: com.pay.charge 1.0.0)"
    )


@pytest.mark.promise("I8")
def test_a_worker_that_dead_letters_unknown_versions_is_found() -> None:
    """The simulation knows which workers are live."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(new, events(), older=old, worker=wrong.DeadLettersUnknownVersions)

    simulation = failed.value.simulation
    assert [violation.law for violation in simulation.violations] == ["I8"]
    assert len(simulation.steps) <= STEPS_MAX
    assert "older=older, faults=[OldVersion(" in simulation.reproduction


@pytest.mark.parametrize(
    ("worker", "store", "law"),
    [
        (wrong.AnswersUnknownWorkflowsAtHome, Store, "is_done"),
        (Worker, wrong.LosesReleased, "I1"),
    ],
    ids=["replies", "releases"],
)
def test_a_wrong_handover_is_found(worker: type[Worker], store: type[Store], law: str) -> None:
    """With two old workers and a new one."""
    faults = [OldVersion(0, NEVER), OldVersion(1, NEVER)]
    with pytest.raises(SimulationFailed) as failed:
        simulate(
            new,
            events(),
            older=old,
            faults=faults,
            runs=50,
            worker=worker,
            store=store,
            checks=[eventually(is_done)],
        )

    assert law in [violation.law for violation in failed.value.simulation.violations]
