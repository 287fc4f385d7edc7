"""testing: how to prove it."""

from arvo.testing.compatible import Break, Compatibility, compatible
from arvo.testing.conformance import (
    BackendConformance,
    BrokerConformance,
    MachineMemoryConformance,
)
from arvo.testing.handlers import check_handler
from arvo.testing.laws import Broken, LawBroken
from arvo.testing.payloads import payloads
from arvo.testing.published import check_published
from arvo.testing.replies import Answer, Behaviour, behaviours
from arvo.testing.simulation import (
    KINDS,
    BrokenPromise,
    Check,
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
    Simulation,
    SimulationFailed,
    SimulationMachine,
    Store,
    World,
    always,
    eventually,
    simulate,
    sometimes,
    state_machine,
)
from arvo.testing.steps import Case, Repeat, Step, steps
from arvo.testing.strategies import (
    addresses,
    domains,
    event_types,
    events,
    json_objects,
    replies,
    subjects,
)
from arvo.testing.systems import systems
from arvo.testing.turn import Given, Taken, given
from arvo.testing.workflows import check_workflow

__all__ = [
    "KINDS",
    "Answer",
    "BackendConformance",
    "Behaviour",
    "Break",
    "Broken",
    "BrokenPromise",
    "BrokerConformance",
    "Case",
    "Check",
    "ClockJump",
    "Compatibility",
    "Crash",
    "Delay",
    "Drop",
    "Duplicate",
    "Fault",
    "Given",
    "LawBroken",
    "LostAnswer",
    "MachineMemoryConformance",
    "Partition",
    "Pause",
    "Reorder",
    "Repeat",
    "Simulation",
    "SimulationFailed",
    "SimulationMachine",
    "Step",
    "Store",
    "Taken",
    "World",
    "addresses",
    "always",
    "behaviours",
    "check_handler",
    "check_published",
    "check_workflow",
    "compatible",
    "domains",
    "event_types",
    "events",
    "eventually",
    "given",
    "json_objects",
    "payloads",
    "replies",
    "simulate",
    "sometimes",
    "state_machine",
    "steps",
    "subjects",
    "systems",
]
