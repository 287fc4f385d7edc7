"""Remember: a chart's snapshot as what a record holds, and back (reference F156)."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
from attrs import frozen

from arvo.core.command import Complete
from arvo.core.events.event import Event
from arvo.core.payloads.converter import writer
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import freeze, frozen_json
from arvo.core.payloads.payload import Payload
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.handlers.machine.machine import Machine
from arvo.statechart.definition.commands import Schedule
from arvo.statechart.execution.snapshot import Snapshot
from arvo.statechart.xstate.persistence import Stale, dump, dump_timer, load, load_timer

C = TypeVar("C")


@frozen
class _Written:
    """Writes and reads a context as payloads are, with every field checked.

    *kept* is a context that is known to be *said* so.
    """

    context: Payload[Any] | None
    kept: object = None
    said: Any = None

    def unstructure(self, obj: Any) -> Any:
        if obj is not None and obj is self.kept:
            return self.said
        match obj:
            case Complete(payload=value):
                pass
            case Event():
                value = obj.raw  # one that came, and was raised again for later
            case value:
                pass
        kind = type(value)
        if self.context is not None and kind is self.context.type:
            json = self.context.write(value, path="state.context")
            found = json if isinstance(json, Issues) else frozen_json(json)
        else:
            found = freeze(writer(kind)(value) if attrs.has(kind) else value, "state")
        if isinstance(found, Issues):
            raise Violated(ExecutionViolation("this cannot be remembered", found))
        return found

    def structure(self, obj: Any, cl: Any) -> Any:
        value = Payload.of(cl).read(obj, "state.context")
        if isinstance(value, Issues):
            raise ValueError(str(value))  # noqa: TRY004 - what is wrong is the value
        return value


def remember(
    machine: Machine[C], snapshot: Snapshot[C], before: Snapshot[C] | None, record: Record | None
) -> FrozenDict | Violation:
    """Write a snapshot as JSON: where the chart is, with its structural hash, but not the chart
    itself (B38). *before* is what *record* held.
    """
    message = f"{machine.source} cannot remember this"
    kind = None if machine.context is None else machine.context.type
    got = type(snapshot.context)
    if got is not kind and (kind is not None or attrs.has(got)):
        known = (
            "JSON data (for more say the class: context=a class, or a function annotated with it)"
            if kind is None
            else f"a {kind.__name__}"
        )
        issue = Issue("context", known, short(snapshot.context))
        return ExecutionViolation(message, issue)
    by = _Written(machine.context)
    if before is not None and record is not None and isinstance(record.state, Mapping):
        # Most turns move the machine and leave its context as it was.
        by = _Written(machine.context, before.context, record.state["context"])
    return _written(message, lambda: dump(machine.chart, snapshot, converter=by))


def recall(machine: Machine[C], record: Record) -> Snapshot[C] | Violation:
    """Read the snapshot that a record holds, or say why this machine cannot take it up."""
    state = record.state
    if not isinstance(state, Mapping):
        issue = Issue("state", "where the machine was", short(state))
        return ExecutionViolation(f"{machine.source} has nothing to go on from", issue)
    snapshot = load(machine.chart, state, converter=_Written(machine.context))
    if not isinstance(snapshot, Stale):
        return _typed(machine, snapshot)
    expected = f"a state of {machine.contract.dataschema} (migrate the workflow, or bring it back)"
    issues = tuple(Issue("state.leaves", expected, name) for name in snapshot.missing) or (
        Issue("state", "what this machine remembers (migrate the workflow)", snapshot.reason),
    )
    return ExecutionViolation(f"{machine.source} cannot go on from what is remembered", issues)


def taken_up(machine: Machine[Any], record: Record) -> FrozenDict | Violation:
    """Write anew what a record of another version holds: with the hash of this machine's chart."""
    snapshot = recall(machine, record)
    if not isinstance(snapshot, Snapshot):
        return snapshot
    return remember(machine, snapshot, None, None)


def _typed(machine: Machine[C], snapshot: Snapshot[C]) -> Snapshot[C] | Violation:
    """Make the context what the machine's functions take it for."""
    given: Any = snapshot.context
    if machine.context is None or type(given) is machine.context.type:
        return snapshot
    context = machine.context.read(given, "state.context")
    if isinstance(context, Issues):
        return ExecutionViolation(f"{machine.source} cannot go on from this context", context)
    return Snapshot(snapshot.configuration, context, snapshot.past, snapshot.end)


def remember_timer(machine: Machine[Any], timer: Schedule) -> FrozenDict | Violation:
    """Write a timer of the chart as the payload of one of arvo's."""
    message = f"{machine.source} sets a timer with no payload"
    by = _Written(machine.context)
    return _written(message, lambda: dump_timer(machine.chart, timer, converter=by))


def recall_timer(machine: Machine[Any], said: Mapping[str, Any]) -> Schedule | Violation:
    """Read a timer of the chart from the payload of one of arvo's."""
    try:
        return load_timer(machine.chart, said, converter=_Written(machine.context))
    except (LookupError, TypeError, ValueError) as error:
        issue = Issue("data.payload", "a timer of this machine", short(error))
        return ExecutionViolation(f"{machine.source} cannot read its timer", issue)


def _written(message: str, write: Callable[[], dict[str, Any]]) -> FrozenDict | Violation:
    try:
        # What is the user's in it has been found to be JSON, piece by piece; the rest is ours.
        found: FrozenDict = frozen_json(write())
    except Violated as violated:
        return ExecutionViolation(message, violated.violation.issues)
    except Exception as error:  # noqa: BLE001 - a property of a user's class raises anything
        issue = Issue("state", "what can be written as JSON", short(error))
        return ExecutionViolation(message, issue)
    return found
