"""State: the state of a workflow as JSON data, in the form that its handler knows."""

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from arvo.console.views.secrets import Redaction, shape
from arvo.core.events.event import Event
from arvo.core.payloads.json_data import is_json
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.secrets import secret_texts
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.record import Record
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import Violated
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable
from arvo.handlers.schedule.handler import ScheduleHandler

NO_SYSTEM: Final = (
    "The console was started without the system of this workflow, so it shows the shape of the "
    "state alone: start it with `arvo console package.module:system`."
)


@final
@frozen
class StateView:
    """The state of a workflow: *data* as JSON, and a *note* where that is not the whole state."""

    data: Any
    note: str = ""


def meet_record(system: System, record: Record, redaction: Redaction) -> None:
    """Let a page learn the secrets in a record: those of its state, and of its first event."""
    handler = system.handler_at(record.handler)
    schema = None if not is_workflow(handler) else _state_schema(handler, record)
    if schema is not None:
        redaction.data(schema, _plain_state(handler, record))
    if isinstance(handler, ScheduleHandler) and isinstance(record.state, Mapping):
        # A plan may have any payload, so its class marks none: the workflow that begins does.
        payload = record.state.get("plan", {}).get("payload")
        for workflow in handler.services:
            redaction.learn(secret_texts(workflow.accepted.checked_schema, payload))
    for entry in record.journal:
        for event in _events(entry):
            redaction.meet((event,))
    redaction.meet(record.replies.events)


def show_state(system: System, record: Record, redaction: Redaction) -> StateView:
    """Return the state in a record as a page shows it, with its secrets hidden."""
    meet_record(system, record, redaction)
    handler = system.handler_at(record.handler)
    if not is_workflow(handler):
        return StateView(shape(record.state), NO_SYSTEM)
    if isinstance(handler, FlowHandler):
        return _show_flow(handler, record, redaction)
    schema, plain = _state_schema(handler, record), _plain_state(handler, record)
    if schema is None:
        # Its author gave it no class, so no field of it can be marked.
        return StateView(record.state if redaction.shows_data else shape(record.state))
    shown = redaction.data(schema, plain)
    if isinstance(handler, Resumable) or not isinstance(record.state, Mapping):
        return StateView(shown)
    return StateView({**_outer_state(record.state), "context": shown})


def _outer_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a machine's state what the states and timers are: the rest repeats events."""
    return {key: state[key] for key in ("value", "status") if key in state}


def _plain_state(handler: object, record: Record) -> Any:
    state = record.state
    if isinstance(handler, Orchestrator):
        return state.get("context") if isinstance(state, Mapping) else None
    return state


def _state_schema(handler: WorkflowHandler, record: Record) -> Mapping[str, Any] | None:
    payload: Payload[Any] | None = None
    if isinstance(handler, Resumable):
        payload = handler.state
    elif isinstance(handler, Orchestrator):
        machine = handler.machines.get(record.version)
        payload = None if machine is None else machine.context
    return None if payload is None else payload.schema


def _show_flow(handler: FlowHandler[Any, Any], record: Record, redaction: Redaction) -> StateView:
    try:
        view = handler.query(record)
    except Violated as violated:
        return StateView(None, f"The function does not fit its journal: {violated}")
    variables = {name: _variable(value, redaction) for name, value in view.variables.items()}
    waiting = list(map(operation_name, view.waiting))
    return StateView({"waiting": waiting, "unread": view.unread, "variables": variables})


def operation_name(described: str) -> str:
    """Return an operation of a flow without its payload, which may be cut in a secret.

    >>> operation_name('ask ChargeCard {"amount": 10}'), operation_name("sleep 1:00:00")
    ('ask ChargeCard', 'sleep 1:00:00')
    """
    return described.partition(" {")[0]


def _variable(value: object, redaction: Redaction) -> Any:
    if isinstance(value, Event):
        return redaction.event_data(value)
    kind = type(value)
    if is_payload_class(kind):
        try:
            payload = Payload.of(kind)
        except PayloadError:
            return f"<{kind.__name__}>"
        written = payload.write(value)
        if not isinstance(written, Issues):
            return redaction.data(payload.schema, written)
    elif isinstance(value, list | tuple):
        return [_variable(item, redaction) for item in value]
    elif isinstance(value, dict):
        return {str(key): _variable(item, redaction) for key, item in value.items()}
    elif is_json(value):
        return value if redaction.shows_data else shape(value)
    return f"<{kind.__name__}>"


def _events(entry: Any) -> list[Event[Any]]:
    """Return the events in an entry of a flow's journal."""
    found = []
    for key in ("event", "got"):
        content = entry.get(key) if isinstance(entry, Mapping) else None
        if isinstance(content, Mapping) and "specversion" in content:
            try:
                found.append(Event.from_dict(content))
            except Violated:
                continue
    return found
