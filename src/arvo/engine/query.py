"""Query: what a workflow remembers, as its author knows it."""

from typing import Any, TypeVar, overload

from arvo.core.record import Record
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.owner import Owners, owner
from arvo.engine.system.system import System
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.flow.replay import FlowView
from arvo.handlers.machine.orchestrator import Orchestrator, Whereabouts
from arvo.handlers.resumable import Resumable

S = TypeVar("S")


@overload
def query(owners: Resumable[S], record: Record) -> S | None: ...
@overload
def query(owners: Orchestrator[S], record: Record) -> Whereabouts[S]: ...
@overload
def query(owners: FlowHandler[Any, Any], record: Record) -> FlowView: ...
@overload
def query(owners: System, record: Record) -> Any: ...
def query(owners: Owners, record: Record) -> Any:
    """Say what a workflow remembers, in the form that its handler gives it; nothing changes.

    *owners*: the workflow itself, which makes the result typed, or a system that it lives in. A
    resumable gives its state, None before it has persisted any; an orchestrator the snapshot of its
    machine; a flow what it waits for, and its variables. Raises `Violated`, which names each field,
    where what is remembered does not fit any more.
    """
    found = owner(owners, record)
    if isinstance(found, ConfigViolation):
        raise Violated(found)
    return found.query(record)
