"""simulation: a whole system with its workers, in one process, with whatever may go wrong."""

from arvo.testing.simulation.faults import (
    FAULT_KINDS,
    ClockJump,
    Crash,
    Delay,
    Drop,
    Duplicate,
    Fault,
    LostAnswer,
    Partition,
    Pause,
    Reorder,
)
from arvo.testing.simulation.outcome import Simulation, SimulationFailed
from arvo.testing.simulation.simulate import simulate
from arvo.testing.simulation.stateful import SimulationMachine, state_machine
from arvo.testing.simulation.store import Store
from arvo.testing.simulation.trace import InvariantViolated
from arvo.testing.simulation.world import Check, World, always, eventually, sometimes

__all__ = [
    "FAULT_KINDS",
    "Check",
    "ClockJump",
    "Crash",
    "Delay",
    "Drop",
    "Duplicate",
    "Fault",
    "InvariantViolated",
    "LostAnswer",
    "Partition",
    "Pause",
    "Reorder",
    "Simulation",
    "SimulationFailed",
    "SimulationMachine",
    "Store",
    "World",
    "always",
    "eventually",
    "simulate",
    "sometimes",
    "state_machine",
]
