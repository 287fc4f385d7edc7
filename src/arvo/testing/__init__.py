"""Testing: strategies, laws, given-when-then tests, simulation and conformance tests."""

from arvo.extras import needs_extra

with needs_extra("arvo.testing"):
    import cloudpickle as _cloudpickle  # noqa: F401 - the extra
    import hypothesis as _hypothesis  # noqa: F401 - the extra

from arvo.testing.compatibility.compatible import BreakingChange, Compatibility, compatible
from arvo.testing.compatibility.published import check_published
from arvo.testing.conformance import (
    BackendConformance,
    BrokerConformance,
    IndexConformance,
    MachineMemoryConformance,
    OrderedBrokerConformance,
)
from arvo.testing.given.steps import Case, Repeat, Step, steps
from arvo.testing.given.turn import Given, TurnResult, given
from arvo.testing.laws.check_handler import check_handler
from arvo.testing.laws.check_workflow import check_workflow
from arvo.testing.laws.report import CheckReport, NotChecked, PartlyChecked
from arvo.testing.laws.violation import LawViolated, LawViolation
from arvo.testing.observer import RecordedEffect, RecordedSpan, RecordingObserver
from arvo.testing.reports import collect_reports
from arvo.testing.schemas.diagnosis import UndrawableSchema
from arvo.testing.simulation import (
    FAULT_KINDS,
    Check,
    ClockJump,
    Crash,
    Delay,
    Drop,
    Duplicate,
    EffectCrash,
    Fault,
    Forge,
    InvariantViolated,
    LateCancel,
    LostAnswer,
    LostRequest,
    OldVersion,
    Outage,
    OutboxCrash,
    Oversize,
    PairModel,
    Partition,
    PartitionedBroker,
    Pause,
    Poison,
    Reorder,
    ReuseId,
    SimulatedBroker,
    SimulatedMemory,
    Simulation,
    SimulationFailed,
    SimulationMachine,
    SlowListener,
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
    "FAULT_KINDS",
    "Answer",
    "BackendConformance",
    "Behaviour",
    "BreakingChange",
    "BrokerConformance",
    "Case",
    "Check",
    "CheckReport",
    "ClockJump",
    "Compatibility",
    "Crash",
    "Delay",
    "Drop",
    "Duplicate",
    "EffectCrash",
    "Fault",
    "Forge",
    "Given",
    "IndexConformance",
    "InvariantViolated",
    "LateCancel",
    "LawViolated",
    "LawViolation",
    "LostAnswer",
    "LostRequest",
    "MachineMemoryConformance",
    "NotChecked",
    "OldVersion",
    "OrderedBrokerConformance",
    "Outage",
    "OutboxCrash",
    "Oversize",
    "PairModel",
    "Partition",
    "PartitionedBroker",
    "PartlyChecked",
    "Pause",
    "Poison",
    "RecordedEffect",
    "RecordedSpan",
    "RecordingObserver",
    "Reorder",
    "Repeat",
    "ReuseId",
    "SimulatedBroker",
    "SimulatedMemory",
    "Simulation",
    "SimulationFailed",
    "SimulationMachine",
    "SlowListener",
    "Step",
    "Store",
    "TurnResult",
    "UndrawableSchema",
    "World",
    "addresses",
    "always",
    "behaviours",
    "check_handler",
    "check_published",
    "check_workflow",
    "collect_reports",
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
