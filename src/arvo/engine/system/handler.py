"""Handler: the closed union of the handler kinds."""

from typing import Any, Final, TypeAlias, get_args, get_origin

from typing_extensions import TypeIs

from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable

WorkflowHandler: TypeAlias = Resumable[Any] | Orchestrator[Any] | FlowHandler[Any, Any]
Handler: TypeAlias = EventHandler[Any] | WorkflowHandler
_WORKFLOW_CLASSES: Final = tuple(get_origin(kind) for kind in get_args(WorkflowHandler))


def is_workflow(handler: object) -> TypeIs[WorkflowHandler]:
    """Return True for a handler of a workflow: it has a record, and an event handler has none."""
    # From the union: a new kind of workflow needs no second list.
    return isinstance(handler, _WORKFLOW_CLASSES)
