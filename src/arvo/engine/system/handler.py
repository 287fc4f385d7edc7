"""Handler: the closed union of the handler kinds."""

from typing import Any, TypeAlias

from typing_extensions import TypeIs

from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable

WorkflowHandler: TypeAlias = Resumable[Any] | Orchestrator[Any] | FlowHandler[Any, Any]
Handler: TypeAlias = EventHandler[Any] | WorkflowHandler


def is_workflow(handler: object) -> TypeIs[WorkflowHandler]:
    """Return True for a handler of a workflow: it has a record, and an event handler has none."""
    return isinstance(handler, Resumable | Orchestrator | FlowHandler)
