"""Persistence: a chart's snapshot as the state of a workflow's record, and back."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import define

from arvo.core.command import Complete
from arvo.core.events.event import Event
from arvo.core.payloads.codec import codec_of
from arvo.core.payloads.converter import unstructure_hook
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import freeze, freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.handlers.machine.machine import Machine
from arvo.interrupts import is_interrupt
from arvo.statechart.definition.commands import Schedule
from arvo.statechart.execution.snapshot import Snapshot
from arvo.statechart.xstate.persistence import Stale, dump, dump_timer, load, load_timer

C = TypeVar("C")


@define
class _RecordConverter:
    """Converts contexts and events as payloads are converted, with every field checked.

    *unchanged* is a context whose JSON data is *unchanged_json*.
    """

    context: Payload[Any] | None
    unchanged: object = None
    unchanged_json: Any = None

    def unstructure(self, obj: Any) -> Any:
        if obj is not None and obj is self.unchanged:
            return self.unchanged_json
        value = obj
        if isinstance(obj, Complete):
            value = obj.payload
        elif isinstance(obj, Event):
            value = obj.raw  # a received event that the chart raises again later
        kind = type(value)
        if self.context is not None and kind in self.context.instance_types:
            written = self.context.write(value, path="state.context")
            data = written if isinstance(written, Issues) else freeze_unchecked(written)
        else:
            data = freeze(_to_json_data(kind, value) if is_payload_class(kind) else value, "state")
        if isinstance(data, Issues):
            raise Violated(ExecutionViolation("the value is not JSON data", data))
        return data

    def structure(self, obj: Any, cl: Any) -> Any:
        payload = self.context
        if payload is None or cl is not payload.type:
            payload = Payload.of(cl)
        value = payload.read(obj, "state.context")
        if isinstance(value, Issues):
            raise ValueError(str(value))  # noqa: TRY004 - the type is right, the value is wrong
        return value


def _to_json_data(kind: type, value: object) -> Any:
    codec = codec_of(kind)
    if codec is not None:
        try:
            return codec.write(value)
        except Exception:  # noqa: BLE001, S110  # a property of a user raises anything
            pass
    return unstructure_hook(kind)(value)


def dump_snapshot(
    machine: Machine[C], snapshot: Snapshot[C], before: Snapshot[C] | None, record: Record | None
) -> FrozenDict | Violation:
    """Return a snapshot as JSON data, with the structural hash of its chart.

    The data does not hold the chart itself. *before* is the snapshot in *record*.
    """
    message = f"{machine.source} cannot store its state"
    context, kind = machine.context, type(snapshot.context)
    is_known = not is_payload_class(kind) if context is None else kind in context.instance_types
    if not is_known:
        expected = (
            "JSON data (for another class set context=a class, or a function annotated with it)"
            if context is None
            else f"a {context.name}"
        )
        issue = Issue("context", expected, short_repr(snapshot.context))
        return ExecutionViolation(message, issue)
    unchanged, unchanged_json = None, None
    if before is not None and record is not None and isinstance(record.state, dict):
        # Most turns change the state of the machine and leave its context.
        unchanged, unchanged_json = before.context, record.state["context"]
    converter = _RecordConverter(machine.context, unchanged, unchanged_json)
    return _freeze_dump(message, lambda: dump(machine.chart, snapshot, converter=converter))


def load_snapshot(machine: Machine[C], record: Record) -> Snapshot[C] | Violation:
    """Return the snapshot in a record, or the violation if it does not fit this machine."""
    state = record.state
    if not isinstance(state, Mapping):
        issue = Issue("state", "the dump of a snapshot", short_repr(state))
        return ExecutionViolation(f"{machine.source} has no state to continue from", issue)
    snapshot = load(machine.chart, state, converter=_RecordConverter(machine.context))
    if not isinstance(snapshot, Stale):
        return _restore_context(machine, snapshot)
    remedy = "migrate the workflow, or restore the state in the chart"
    expected = f"a state of {machine.contract.dataschema} ({remedy})"
    issues = tuple(Issue("state.leaves", expected, name) for name in snapshot.missing) or (
        Issue("state", "the dump of a snapshot (migrate the workflow)", snapshot.reason),
    )
    return ExecutionViolation(f"{machine.source} cannot continue from its stored state", issues)


def rehash_snapshot(machine: Machine[Any], record: Record) -> FrozenDict | Violation:
    """Return the state of a record of another version with the hash of this machine's chart."""
    snapshot = load_snapshot(machine, record)
    if not isinstance(snapshot, Snapshot):
        return snapshot
    return dump_snapshot(machine, snapshot, None, None)


def _restore_context(machine: Machine[C], snapshot: Snapshot[C]) -> Snapshot[C] | Violation:
    """Make the context an instance of the class that the machine's functions expect."""
    stored: Any = snapshot.context
    if machine.context is None or type(stored) in machine.context.instance_types:
        return snapshot
    context = machine.context.read(stored, "state.context")
    if isinstance(context, Issues):
        message = f"{machine.source} cannot continue from its stored context"
        return ExecutionViolation(message, context)
    return Snapshot(snapshot.configuration, context, snapshot.memory, snapshot.end)


def dump_chart_timer(machine: Machine[Any], timer: Schedule) -> FrozenDict | Violation:
    """Return a timer of the chart as the payload of a timer of the workflow."""
    message = f"{machine.source} starts a timer whose event is not JSON data"
    converter = _RecordConverter(machine.context)
    return _freeze_dump(message, lambda: dump_timer(machine.chart, timer, converter=converter))


def load_chart_timer(machine: Machine[Any], payload: Mapping[str, Any]) -> Schedule | Violation:
    """Return a timer of the chart from the payload of a timer of the workflow."""
    try:
        return load_timer(machine.chart, payload, converter=_RecordConverter(machine.context))
    except (LookupError, TypeError, ValueError) as error:
        issue = Issue("data.payload", "a timer of this machine", short_repr(error))
        return ExecutionViolation(f"{machine.source} cannot load its timer", issue)


def _freeze_dump(message: str, make: Callable[[], dict[str, Any]]) -> FrozenDict | Violation:
    try:
        # The converter has checked the user's values one by one; the others are JSON already.
        data: FrozenDict = freeze_unchecked(make())
    except Violated as violated:
        return ExecutionViolation(message, violated.violation.issues)
    except BaseException as error:
        if is_interrupt(error):
            raise
        # A property of a user's class may raise anything.
        issue = Issue("state", "a value that can be written as JSON", short_repr(error))
        return ExecutionViolation(message, issue)
    return data
