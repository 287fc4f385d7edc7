"""Arvo: event handlers and durable workflows as pure functions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from returns.result import Failure, Result, Success

from arvo.core.command import (
    Cancel,
    CancelChild,
    Command,
    Compensate,
    Complete,
    Emit,
    Fail,
    Log,
    Persist,
    Schedule,
    Violate,
)
from arvo.core.commit import Commit
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.simple import SimpleContract
from arvo.core.contracts.version_spec import Version, Workflow
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.dataschema import Dataschema
from arvo.core.events.domain import Domain
from arvo.core.events.event import Event
from arvo.core.events.identity import IdReusePolicy, Managed, ManagedId
from arvo.core.events.protocol import Cancellation, SystemFault, TimerFired
from arvo.core.events.stamp import Stamp, install_stamper, stamp, stamping
from arvo.core.events.subject import Subject
from arvo.core.history import HistoryEntry
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.constraint import Format, Pattern, Secret
from arvo.core.payloads.types.field import Alias
from arvo.core.payloads.zod import ZodSchema
from arvo.core.record import Record
from arvo.core.trace_context import TraceContext
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.decide import decide
from arvo.engine.step.step import Middleware, Step, step
from arvo.engine.system.system import System
from arvo.extras import is_installed, needs_extra
from arvo.handlers.effect import Effects, Perform, Performed, Retry, call
from arvo.handlers.event_handler import EventHandler, HandlerDomains, HandlerPolicy
from arvo.handlers.flow.errors import (
    CallFailed,
    Cancelled,
    ServiceFailed,
    UnexpectedReply,
)
from arvo.handlers.flow.function import WorkflowFunction, workflow
from arvo.handlers.flow.handler import FlowHandler, flow, flows
from arvo.handlers.flow.operations import Flow
from arvo.handlers.flow.primitives import (
    ask,
    call_workflow,
    compensate_with,
    continue_as_new,
    fail,
    tell,
)
from arvo.handlers.flow.replay import FlowView
from arvo.handlers.flow.waits import gather, race, sleep, wait_for
from arvo.handlers.invoke import Commands
from arvo.handlers.limit import Limit
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.report import report
from arvo.handlers.resumable import Resumable, Turn, WorkflowDomains
from arvo.handlers.service import Service, service

if TYPE_CHECKING:
    from arvo.engine.history.migrate import migrate
    from arvo.engine.history.migrate_all import Migration, migrate_all
    from arvo.engine.history.replay import Replay, ReplayedTurn, replay
    from arvo.engine.query import query
    from arvo.engine.run import run
    from arvo.engine.trace import Trace
    from arvo.engine.workflow_tree import Tree, tree
    from arvo.handlers.schedule.handler import ScheduleHandler, every
    from arvo.handlers.schedule.next_times import next_times
    from arvo.handlers.schedule.plan import (
        Backfill,
        Occurrence,
        ScheduleCounts,
        ScheduleEnded,
        SchedulePlan,
        ScheduleState,
    )
    from arvo.handlers.schedule.signals import (
        BackfillSchedule,
        DeleteSchedule,
        PauseSchedule,
        ResumeSchedule,
        TriggerSchedule,
        UpdateSchedule,
    )
    from arvo.handlers.schedule.spec import Calendar, Cron, Every
    from arvo.interpreters.blocking.client import BlockingClient, BlockingRuntime, blocking
    from arvo.interpreters.delivery.archive.workflow import ArchivedWorkflow, read_archive
    from arvo.interpreters.delivery.retention import Retention
    from arvo.interpreters.kafka import KafkaBroker as KafkaBroker
    from arvo.interpreters.memory.backend import MemoryBackend
    from arvo.interpreters.memory.broker import MemoryBroker
    from arvo.interpreters.memory.index import InMemoryIndex
    from arvo.interpreters.memory.store import InMemoryMachineMemory
    from arvo.interpreters.nats import NatsBroker as NatsBroker
    from arvo.interpreters.nats import NatsMemory as NatsMemory
    from arvo.interpreters.paired.pairing import paired
    from arvo.interpreters.ports.audit import AuditEntry
    from arvo.interpreters.ports.backend import Backend
    from arvo.interpreters.ports.broker import (
        Broker,
        DefersDeliveries,
        EncodedDelivery,
        EncodedMessage,
        OwnsDeliveries,
        PassesDeliveries,
        ReportsDepth,
        SeesKeys,
    )
    from arvo.interpreters.ports.errors import Corrupt, NoReply, TooEarly, TooLarge, Unavailable
    from arvo.interpreters.ports.index import HasIndex, HistoryBlock, Index, IndexQuery, IndexRow
    from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
    from arvo.interpreters.ports.messages import DeadLetter
    from arvo.interpreters.ports.results import (
        Conflict,
        DeadLetterGroup,
        Depth,
        DueTimer,
        StoredWorkflow,
        VersionUse,
    )
    from arvo.interpreters.ports.services import (
        ReleasesDeliveries,
        ServiceRegistry,
        SupportsServiceRegistry,
        WorkerServices,
    )
    from arvo.interpreters.postgres import (
        PostgresBackend as PostgresBackend,
    )
    from arvo.interpreters.postgres import (
        PostgresMemory as PostgresMemory,
    )
    from arvo.interpreters.rabbit import RabbitBroker as RabbitBroker
    from arvo.interpreters.redis import RedisBroker as RedisBroker
    from arvo.interpreters.redis import RedisMemory as RedisMemory
    from arvo.interpreters.reports.channel import CarriesReports, ReportChannel, ReportReader
    from arvo.interpreters.reports.report import Report
    from arvo.interpreters.runtime.batches import BatchResult
    from arvo.interpreters.runtime.client import Client
    from arvo.interpreters.runtime.description import PendingRequest, WorkflowDescription
    from arvo.interpreters.runtime.runtime import Runtime
    from arvo.interpreters.sqlite import SqliteBackend
    from arvo.interpreters.watching.item import WorkflowEnded
    from arvo.interpreters.worker.stats import Stats

# Without the names in `_NEED_DRIVERS`: `from arvo import *` must work without any driver.
__all__ = [
    "Alias",
    "ArchivedWorkflow",
    "AuditEntry",
    "Backend",
    "Backfill",
    "BackfillSchedule",
    "BatchResult",
    "BlockingClient",
    "BlockingRuntime",
    "Broker",
    "Calendar",
    "CallFailed",
    "Cancel",
    "CancelChild",
    "Cancellation",
    "Cancelled",
    "CarriesReports",
    "Client",
    "Command",
    "Commands",
    "Commit",
    "Compensate",
    "Complete",
    "ConfigViolation",
    "Conflict",
    "Contract",
    "ContractViolation",
    "Corrupt",
    "Cron",
    "Dataschema",
    "DeadLetter",
    "DeadLetterGroup",
    "DefersDeliveries",
    "DeleteSchedule",
    "Depth",
    "Domain",
    "DueTimer",
    "Effects",
    "Emit",
    "EncodedDelivery",
    "EncodedMessage",
    "Event",
    "EventHandler",
    "Every",
    "ExecutionViolation",
    "Fail",
    "Failure",
    "Flow",
    "FlowHandler",
    "FlowView",
    "Format",
    "HandlerDomains",
    "HandlerPolicy",
    "HasIndex",
    "HistoryBlock",
    "HistoryEntry",
    "IdReusePolicy",
    "InMemoryIndex",
    "InMemoryMachineMemory",
    "Index",
    "IndexQuery",
    "IndexRow",
    "Issue",
    "Issues",
    "Limit",
    "Log",
    "Machine",
    "MachineMemory",
    "Managed",
    "ManagedId",
    "MemoryBackend",
    "MemoryBroker",
    "Middleware",
    "Migration",
    "NoReply",
    "Occurrence",
    "Orchestrator",
    "OrchestratorContract",
    "OwnsDeliveries",
    "PassesDeliveries",
    "Pattern",
    "PauseSchedule",
    "Payload",
    "PendingRequest",
    "Perform",
    "Performed",
    "Persist",
    "Record",
    "ReleasesDeliveries",
    "Replay",
    "ReplayedTurn",
    "Report",
    "ReportChannel",
    "ReportReader",
    "ReportsDepth",
    "Result",
    "Resumable",
    "ResumeSchedule",
    "Retention",
    "Retry",
    "Runtime",
    "Schedule",
    "ScheduleCounts",
    "ScheduleEnded",
    "ScheduleHandler",
    "SchedulePlan",
    "ScheduleState",
    "Secret",
    "SeesKeys",
    "Service",
    "ServiceFailed",
    "ServiceRegistry",
    "SimpleContract",
    "SqliteBackend",
    "Stamp",
    "Stats",
    "Step",
    "Stored",
    "StoredWorkflow",
    "Subject",
    "Success",
    "SupportsServiceRegistry",
    "System",
    "SystemFault",
    "TimerFired",
    "TooEarly",
    "TooLarge",
    "Trace",
    "TraceContext",
    "TransactionViolation",
    "Tree",
    "TriggerSchedule",
    "Turn",
    "Unavailable",
    "UnexpectedReply",
    "UpdateSchedule",
    "Version",
    "VersionUse",
    "VersionedContract",
    "VersionedWorkflow",
    "Violate",
    "Violated",
    "Violation",
    "WorkerServices",
    "Workflow",
    "WorkflowDescription",
    "WorkflowDomains",
    "WorkflowEnded",
    "WorkflowFunction",
    "ZodSchema",
    "ask",
    "blocking",
    "call",
    "call_workflow",
    "compensate_with",
    "continue_as_new",
    "decide",
    "every",
    "fail",
    "flow",
    "flows",
    "gather",
    "migrate",
    "migrate_all",
    "next_times",
    "paired",
    "query",
    "race",
    "read_archive",
    "replay",
    "report",
    "run",
    "service",
    "sleep",
    "stamping",
    "step",
    "tell",
    "tree",
    "wait_for",
    "workflow",
]

# Imported at first access: a module of handlers needs no runtime, and no driver.
_LAZY: Final = {
    "arvo.engine.history.migrate": ("migrate",),
    "arvo.engine.history.migrate_all": ("Migration", "migrate_all"),
    "arvo.engine.history.replay": ("Replay", "ReplayedTurn", "replay"),
    "arvo.engine.query": ("query",),
    "arvo.engine.run": ("run",),
    "arvo.engine.trace": ("Trace",),
    "arvo.engine.workflow_tree": ("Tree", "tree"),
    "arvo.handlers.schedule.handler": ("ScheduleHandler", "every"),
    "arvo.handlers.schedule.next_times": ("next_times",),
    "arvo.handlers.schedule.plan": (
        "Backfill",
        "Occurrence",
        "ScheduleCounts",
        "ScheduleEnded",
        "SchedulePlan",
        "ScheduleState",
    ),
    "arvo.handlers.schedule.signals": (
        "BackfillSchedule",
        "DeleteSchedule",
        "PauseSchedule",
        "ResumeSchedule",
        "TriggerSchedule",
        "UpdateSchedule",
    ),
    "arvo.handlers.schedule.spec": ("Calendar", "Cron", "Every"),
    "arvo.interpreters.delivery.archive.workflow": ("ArchivedWorkflow", "read_archive"),
    "arvo.interpreters.delivery.retention": ("Retention",),
    "arvo.interpreters.memory.backend": ("MemoryBackend",),
    "arvo.interpreters.memory.broker": ("MemoryBroker",),
    "arvo.interpreters.memory.index": ("InMemoryIndex",),
    "arvo.interpreters.memory.store": ("InMemoryMachineMemory",),
    "arvo.interpreters.paired.pairing": ("paired",),
    "arvo.interpreters.ports.audit": ("AuditEntry",),
    "arvo.interpreters.ports.backend": ("Backend",),
    "arvo.interpreters.ports.broker": (
        "Broker",
        "DefersDeliveries",
        "EncodedDelivery",
        "EncodedMessage",
        "IdReusePolicy",
        "OwnsDeliveries",
        "PassesDeliveries",
        "ReportsDepth",
        "SeesKeys",
    ),
    "arvo.interpreters.ports.errors": ("Corrupt", "NoReply", "TooEarly", "TooLarge", "Unavailable"),
    "arvo.interpreters.ports.index": (
        "HasIndex",
        "HistoryBlock",
        "Index",
        "IndexQuery",
        "IndexRow",
    ),
    "arvo.interpreters.ports.machine_memory": ("MachineMemory", "Stored"),
    "arvo.interpreters.ports.messages": ("DeadLetter",),
    "arvo.interpreters.ports.results": (
        "Conflict",
        "DeadLetterGroup",
        "Depth",
        "DueTimer",
        "StoredWorkflow",
        "VersionUse",
    ),
    "arvo.interpreters.ports.services": (
        "ReleasesDeliveries",
        "ServiceRegistry",
        "SupportsServiceRegistry",
        "WorkerServices",
    ),
    "arvo.interpreters.reports.channel": ("CarriesReports", "ReportChannel", "ReportReader"),
    "arvo.interpreters.reports.report": ("Report",),
    "arvo.interpreters.runtime.batches": ("BatchResult",),
    "arvo.interpreters.runtime.client": ("Client",),
    "arvo.interpreters.runtime.description": ("PendingRequest", "WorkflowDescription"),
    "arvo.interpreters.blocking.client": ("BlockingClient", "BlockingRuntime", "blocking"),
    "arvo.interpreters.runtime.runtime": ("Runtime",),
    "arvo.interpreters.sqlite": ("SqliteBackend",),
    "arvo.interpreters.watching.item": ("WorkflowEnded",),
    "arvo.interpreters.worker.stats": ("Stats",),
}
# The same for those that need a driver, and the module of that driver.
_DRIVERS: Final = {
    "arvo.interpreters.kafka": "confluent_kafka",
    "arvo.interpreters.nats": "nats",
    "arvo.interpreters.postgres": "asyncpg",
    "arvo.interpreters.rabbit": "aio_pika",
    "arvo.interpreters.redis": "redis",
}
_NEED_DRIVERS: Final = {
    "arvo.interpreters.kafka": ("KafkaBroker",),
    "arvo.interpreters.nats": ("NatsBroker", "NatsMemory"),
    "arvo.interpreters.postgres": ("PostgresBackend", "PostgresMemory"),
    "arvo.interpreters.rabbit": ("RabbitBroker",),
    "arvo.interpreters.redis": ("RedisBroker", "RedisMemory"),
}
_MODULES: Final = {
    name: module for module, names in {**_LAZY, **_NEED_DRIVERS}.items() for name in names
}


def _stamp_first() -> Stamp:
    """Load the clock, which installs its own stamper, at the first event that is made."""
    import_module("arvo.interpreters.delivery.clock")
    return stamp()


install_stamper(_stamp_first)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'arvo' has no attribute {name!r}")
    with needs_extra(f"arvo.{name}"):
        value = getattr(import_module(_MODULES[name]), name)
    # The next access finds it without this function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # Without the names whose driver is missing: `help` and `inspect` get every name that is listed.
    missing = {room for room, driver in _DRIVERS.items() if not is_installed(driver)}
    return sorted({*globals(), *(name for name, room in _MODULES.items() if room not in missing)})
