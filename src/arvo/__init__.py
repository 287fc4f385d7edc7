"""Arvo: event handlers and durable workflows as pure functions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from returns.result import Failure, Result, Success

from arvo.core.command import (
    Cancel,
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
from arvo.core.events.identity import Managed, ManagedId
from arvo.core.events.protocol import Cancellation, SystemFault, TimerFired
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.events.subject import Subject
from arvo.core.history import HistoryEntry
from arvo.core.payloads.constraint import Format, Pattern
from arvo.core.payloads.payload import Payload
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.engine.history.migrate import migrate
from arvo.engine.history.migrate_all import Migration, migrate_all
from arvo.engine.history.replay import Replay, ReplayedTurn, replay
from arvo.engine.query import query
from arvo.engine.run import run
from arvo.engine.step.decide import decide
from arvo.engine.step.step import step
from arvo.engine.system.system import System
from arvo.engine.trace import Trace
from arvo.engine.workflow_tree import Tree, tree
from arvo.extras import is_installed, needs_extra
from arvo.handlers.effect import Effects, Perform, Performed, Retry, call
from arvo.handlers.event_handler import EventHandler, HandlerDomains
from arvo.handlers.flow.errors import (
    CallFailed,
    Cancelled,
    ServiceFailed,
    UnexpectedReply,
)
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
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable, Turn, WorkflowDomains
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.paired.backend import paired
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import (
    Broker,
    DefersDeliveries,
    EncodedDelivery,
    EncodedMessage,
    PassesDeliveries,
    ReportsDepth,
)
from arvo.interpreters.ports.errors import Corrupt, NoReply, TooEarly, TooLarge, Unavailable
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import Conflict, Depth, StoredWorkflow
from arvo.interpreters.ports.services import (
    ReleasesDeliveries,
    ServiceRegistry,
    SupportsServiceRegistry,
    WorkerServices,
)
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.description import PendingRequest, WorkflowDescription
from arvo.interpreters.runtime.runtime import Runtime
from arvo.interpreters.runtime.stats import Stats

if TYPE_CHECKING:
    from arvo.interpreters.delivery.retention import Retention
    from arvo.interpreters.kafka import KafkaBroker as KafkaBroker
    from arvo.interpreters.nats import NatsBroker as NatsBroker
    from arvo.interpreters.nats import NatsMemory as NatsMemory
    from arvo.interpreters.postgres import (
        PostgresBackend as PostgresBackend,
    )
    from arvo.interpreters.postgres import (
        PostgresMemory as PostgresMemory,
    )
    from arvo.interpreters.rabbit import RabbitBroker as RabbitBroker
    from arvo.interpreters.redis import RedisBroker as RedisBroker
    from arvo.interpreters.redis import RedisMemory as RedisMemory
    from arvo.interpreters.sqlite import SqliteBackend

# Without the names in `_NEED_DRIVERS`: `from arvo import *` must work without any driver.
__all__ = [
    "Backend",
    "Broker",
    "CallFailed",
    "Cancel",
    "Cancellation",
    "Cancelled",
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
    "Dataschema",
    "DeadLetter",
    "DefersDeliveries",
    "Depth",
    "Domain",
    "Effects",
    "Emit",
    "EncodedDelivery",
    "EncodedMessage",
    "Event",
    "EventHandler",
    "ExecutionViolation",
    "Fail",
    "Failure",
    "Flow",
    "FlowHandler",
    "FlowView",
    "Format",
    "HandlerDomains",
    "HistoryEntry",
    "InMemoryMachineMemory",
    "Issue",
    "Issues",
    "Log",
    "Machine",
    "MachineMemory",
    "Managed",
    "ManagedId",
    "MemoryBackend",
    "MemoryBroker",
    "Migration",
    "NoReply",
    "Orchestrator",
    "OrchestratorContract",
    "PassesDeliveries",
    "Pattern",
    "Payload",
    "PendingRequest",
    "Perform",
    "Performed",
    "Persist",
    "Record",
    "ReleasesDeliveries",
    "Replay",
    "ReplayedTurn",
    "ReportsDepth",
    "Result",
    "Resumable",
    "Retention",
    "Retry",
    "Runtime",
    "Schedule",
    "ServiceFailed",
    "ServiceRegistry",
    "SimpleContract",
    "SqliteBackend",
    "Stamp",
    "Stats",
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
    "TransactionViolation",
    "Tree",
    "Turn",
    "Unavailable",
    "UnexpectedReply",
    "Version",
    "VersionedContract",
    "VersionedWorkflow",
    "Violate",
    "Violated",
    "Violation",
    "WorkerServices",
    "Workflow",
    "WorkflowDescription",
    "WorkflowDomains",
    "ask",
    "call",
    "call_workflow",
    "compensate_with",
    "continue_as_new",
    "decide",
    "fail",
    "flow",
    "flows",
    "gather",
    "migrate",
    "migrate_all",
    "paired",
    "query",
    "race",
    "replay",
    "run",
    "sleep",
    "stamping",
    "step",
    "tell",
    "tree",
    "wait_for",
]

# Imported at first access: a module of handlers should not load a driver. These need an extra.
_DRIVERS = {
    "arvo.interpreters.kafka": "confluent_kafka",
    "arvo.interpreters.nats": "nats",
    "arvo.interpreters.postgres": "asyncpg",
    "arvo.interpreters.rabbit": "aio_pika",
    "arvo.interpreters.redis": "redis",
}
_NEED_DRIVERS = {
    "KafkaBroker": "arvo.interpreters.kafka",
    "NatsBroker": "arvo.interpreters.nats",
    "NatsMemory": "arvo.interpreters.nats",
    "PostgresBackend": "arvo.interpreters.postgres",
    "PostgresMemory": "arvo.interpreters.postgres",
    "RabbitBroker": "arvo.interpreters.rabbit",
    "RedisBroker": "arvo.interpreters.redis",
    "RedisMemory": "arvo.interpreters.redis",
}
_LAZY = {
    **_NEED_DRIVERS,
    "Retention": "arvo.interpreters.delivery.retention",
    "SqliteBackend": "arvo.interpreters.sqlite",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'arvo' has no attribute {name!r}")
    with needs_extra(f"arvo.{name}"):
        return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    # Without the names whose driver is missing: `help` and `inspect` get every name that is listed.
    missing = {room for room, driver in _DRIVERS.items() if not is_installed(driver)}
    return sorted({*globals(), *(name for name in _LAZY if _LAZY[name] not in missing)})
