"""testing: how to prove it."""

from arvo.testing.conformance import (
    BackendConformance,
    BrokerConformance,
    MachineMemoryConformance,
)
from arvo.testing.faults import (
    KINDS,
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
from arvo.testing.simulate import simulate
from arvo.testing.simulation import Simulation, SimulationFailed
from arvo.testing.stateful import state_machine
from arvo.testing.store import Store
from arvo.testing.story import Broken
from arvo.testing.strategies import (
    addresses,
    domains,
    event_types,
    events,
    json_objects,
    subjects,
    systems,
)
from arvo.testing.world import Check, World, always, eventually, sometimes

__all__ = [
    "KINDS",
    "BackendConformance",
    "Broken",
    "BrokerConformance",
    "Check",
    "ClockJump",
    "Crash",
    "Delay",
    "Drop",
    "Duplicate",
    "Fault",
    "LostAnswer",
    "MachineMemoryConformance",
    "Partition",
    "Pause",
    "Reorder",
    "Simulation",
    "SimulationFailed",
    "Store",
    "World",
    "addresses",
    "always",
    "domains",
    "event_types",
    "events",
    "eventually",
    "json_objects",
    "simulate",
    "sometimes",
    "state_machine",
    "subjects",
    "systems",
]
