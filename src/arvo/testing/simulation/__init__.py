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
    EffectCrash,
    Fault,
    LostAnswer,
    LostRequest,
    OldVersion,
    Outage,
    OutboxCrash,
    Partition,
    Pause,
)
from arvo.testing.simulation.faults.message import (
    Delay,
    Drop,
    Duplicate,
    Forge,
    LateCancel,
    Oversize,
    Poison,
    Reorder,
    ReuseId,
    SlowListener,
)
from arvo.testing.simulation.outcome import Simulation, SimulationFailed
from arvo.testing.simulation.pair.broker import SimulatedBroker
from arvo.testing.simulation.pair.memory import SimulatedMemory
from arvo.testing.simulation.pair.model import PairModel
from arvo.testing.simulation.pair.partitions import PartitionedBroker
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
    "Forge",
    "InvariantViolated",
    "LateCancel",
    "LostAnswer",
    "LostRequest",
    "OldVersion",
    "Outage",
    "OutboxCrash",
    "Oversize",
    "PairModel",
    "Partition",
    "PartitionedBroker",
    "Pause",
    "Poison",
    "Reorder",
    "ReuseId",
    "SimulatedBroker",
    "SimulatedMemory",
    "Simulation",
    "SimulationFailed",
    "SimulationMachine",
    "SlowListener",
    "Store",
    "World",
    "always",
    "eventually",
    "simulate",
    "sometimes",
    "state_machine",
]
