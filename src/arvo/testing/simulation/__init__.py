"""Simulation: a whole system with its workers in one process, with faults and virtual time."""

from arvo.testing.simulation.checks.invariant import (
    Check,
    InvariantViolated,
    always,
    eventually,
    sometimes,
)
from arvo.testing.simulation.checks.world import World
from arvo.testing.simulation.cluster.store import Store
from arvo.testing.simulation.faults.fault import (
    FAULT_KINDS,
    ClockJump,
    Crash,
    Delay,
    Drop,
    Duplicate,
    EffectCrash,
    Fault,
    LostAnswer,
    LostRequest,
    OldVersion,
    Partition,
    Pause,
    Reorder,
)
from arvo.testing.simulation.outcome import Simulation, SimulationFailed
from arvo.testing.simulation.simulate import simulate
from arvo.testing.simulation.stateful import SimulationMachine, state_machine

__all__ = [
    "FAULT_KINDS",
    "Check",
    "ClockJump",
    "Crash",
    "Delay",
    "Drop",
    "Duplicate",
    "EffectCrash",
    "Fault",
    "InvariantViolated",
    "LostAnswer",
    "LostRequest",
    "OldVersion",
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
