"""Stateful: Hypothesis chooses the moves of a simulated system."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from arvo import EventHandler, Limit, System
from arvo.testing import SimulationFailed, World, always, state_machine
from tests.shop import CardDeclined, fulfilment, order_request, payments, shipping, shop

FEW = settings(
    max_examples=30,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ORDERS = [order_request("i1"), order_request("i2"), order_request("i3", amount=2_000.0)]


def test_no_moves_break_a_promise() -> None:
    """Crashes, pauses, partitions, clock jumps and events that are sent again."""
    run_state_machine_as_test(state_machine(shop, ORDERS), settings=FEW)


def test_no_moves_exceed_a_limit() -> None:
    """A system with limits runs on a store with transactions, whatever the seed."""
    limited = EventHandler(
        payments.contract,
        payments.functions,
        limits=[Limit(concurrent=1), Limit(rate=2, seconds=1)],
    )
    system = System([limited, shipping, fulfilment])

    run_state_machine_as_test(state_machine(system, ORDERS), settings=FEW)


def test_a_broken_invariant_is_found_by_some_moves() -> None:
    """The failure has a diagram, after the moves that Hypothesis prints."""

    def no_card_is_declined(world: World) -> bool:
        return not world.payloads(CardDeclined)

    machine = state_machine(shop, ORDERS, checks=[always(no_card_is_declined)])

    with pytest.raises(SimulationFailed, match="no_card_is_declined: no longer holds"):
        run_state_machine_as_test(machine, settings=FEW)
