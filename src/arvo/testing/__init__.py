"""testing: how to prove it."""

from arvo.testing.compatibility.compatible import Break, Compatibility, compatible
from arvo.testing.compatibility.published import check_published
from arvo.testing.conformance import (
    BackendConformance,
    BrokerConformance,
    MachineMemoryConformance,
)
from arvo.testing.given.steps import Case, Repeat, Step, steps
from arvo.testing.given.turn import Given, Taken, given
from arvo.testing.laws.check_workflow import check_workflow
from arvo.testing.laws.handler_laws import check_handler
from arvo.testing.laws.laws import Broken, LawBroken
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
from arvo.testing.strategies.payloads import payloads
from arvo.testing.strategies.replies import Answer, Behaviour, behaviours
from arvo.testing.strategies.strategies import (
    addresses,
    domains,
    event_types,
    events,
    json_objects,
    replies,
    subjects,
)
from arvo.testing.strategies.systems import systems

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
