"""Stateful: Hypothesis steers a simulated system."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from arvo.testing import SimulationFailed, World, always, state_machine
from tests.shop import CardDeclined, placing, shop

FEW = settings(
    max_examples=30,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ORDERS = [placing("i1"), placing("i2"), placing("i3", amount=2_000.0)]


def test_no_moves_break_a_promise() -> None:
    """Whatever dies, halts, is cut off or jumps, and whatever is sent again."""
    run_state_machine_as_test(state_machine(shop, ORDERS), settings=FEW)


def test_a_broken_invariant_is_found_by_some_moves() -> None:
    """And told as a drawing, under the moves that Hypothesis prints."""

    def nobody_is_declined(world: World) -> bool:
        return not world.payloads(CardDeclined)

    machine = state_machine(shop, ORDERS, checks=[always(nobody_is_declined)])

    with pytest.raises(SimulationFailed, match="nobody_is_declined: does not hold any more"):
        run_state_machine_as_test(machine, settings=FEW)
