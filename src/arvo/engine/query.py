"""Query: read the state of a workflow in the form that its author knows."""

from typing import Any, TypeVar, overload

from arvo.core.record import Record
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.system import Owner, System, find_workflow
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.flow.replay import FlowView
from arvo.handlers.machine.orchestrator import MachineSnapshot, Orchestrator
from arvo.handlers.resumable import Resumable

S = TypeVar("S")


@overload
def query(owner: Resumable[S], record: Record) -> S | None: ...
@overload
def query(owner: Orchestrator[S], record: Record) -> MachineSnapshot[S]: ...
@overload
def query(owner: FlowHandler[Any, Any], record: Record) -> FlowView: ...
@overload
def query(owner: System, record: Record) -> Any: ...
def query(owner: Owner, record: Record) -> Any:
    """Return the state of a workflow in the form of its handler; nothing changes.

    *owner*: the workflow's handler, which makes the result typed, or a system that contains it. The
    result is the state of a resumable (None before the first `Persist`), the snapshot of an
    orchestrator's machine, or the pending operations and variables of a flow. Raises `Violated`,
    which names each field, if the stored state no longer fits.
    """
    handler = find_workflow(owner, record)
    if isinstance(handler, ConfigViolation):
        raise Violated(handler)
    return handler.query(record)
