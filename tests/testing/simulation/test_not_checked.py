"""Not checked: a simulation in which nothing happens fails and says why."""

from typing import Any

import pytest

from arvo import Event, System
from arvo.testing import NotChecked, World, always, eventually, simulate, state_machine
from tests.shop import ChargeCard, charge, payments

SYSTEM = System([payments])
ASKED: Event[Any] = charge["1.0.0"].accepts(
    ChargeCard("o1", 1.0),
    source="com.test.client",
    id="ask",
    time="2026-01-02T03:04:05.000+00:00",
)


def never(world: World) -> bool:
    return world.is_idle and len(world.replies) > 10**6


def test_a_simulation_without_events_is_refused() -> None:
    """Its runs would keep every promise."""
    with pytest.raises(TypeError, match="events: expected at least one event to send"):
        simulate(SYSTEM, [])
    with pytest.raises(TypeError, match="events: expected at least one event to send"):
        state_machine(SYSTEM, [])


@pytest.mark.parametrize("runs", [0, -1])
def test_a_simulation_without_runs_is_refused(runs: int) -> None:
    """A number that is computed may be wrong."""
    with pytest.raises(TypeError, match=f"runs: expected at least 1, got {runs}"):
        simulate(SYSTEM, [ASKED], runs=runs)


def test_runs_that_handle_nothing_are_no_pass() -> None:
    """They end before the event arrives, so that each check holds."""
    checks = [always(lambda world: not world.replies, "no reply")]

    with pytest.raises(NotChecked, match=r"simulation of 3 runs .* no event was handled"):
        simulate(SYSTEM, [ASKED], checks=checks, runs=3, until=0.0)


def test_a_check_of_the_end_needs_a_run_that_ends() -> None:
    """`eventually` looks at idle systems only."""
    later = charge["1.0.0"].accepts(
        ChargeCard("o2", 1.0),
        source="com.test.client",
        id="later",
        time="2026-01-02T04:04:05.000+00:00",
    )

    with pytest.raises(NotChecked, match="no run is idle after until=60") as caught:
        simulate(SYSTEM, [ASKED, later], checks=[eventually(never)], faults=[], until=60.0)

    assert "never" in str(caught.value)


def test_an_event_that_is_handled_passes() -> None:
    """The counts are those of all runs, not of the last one."""
    assert simulate(SYSTEM, [ASKED], runs=3).runs == 3
