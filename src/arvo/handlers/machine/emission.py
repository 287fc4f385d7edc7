"""Emission: the values that a chart emits or ends with, converted to a workflow's commands."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, get_args

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
from arvo.core.events.identity import GivenId, Managed
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import CLASSES_MAX
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violation
from arvo.handlers.machine.machine import Machine

# A look-up: `isinstance` of a union looks at each of its classes, and most values are payloads.
_COMMANDS: Final = frozenset(get_args(Command))


def to_command(machine: Machine[Any], value: Any) -> Command | Violation:
    """Convert a value that a chart emits: a command, a payload, or a mapping as in XState."""
    kind: Any = type(value)
    if kind in _COMMANDS:
        return _check_command(machine, value)
    if _is_payload_class(kind):
        return Emit(value)
    if isinstance(value, Mapping):
        return _from_mapping(machine, value)
    issue = Issue("emit", "a payload, or a command such as Emit(...)", short_repr(value))
    return _not_an_event(machine, issue)


@lru_cache(maxsize=CLASSES_MAX)
def _is_payload_class(kind: Any) -> bool:
    return is_payload_class(kind) and not issubclass(kind, Mapping)


def _check_command(machine: Machine[Any], command: Command) -> Command | Violation:
    match command:
        case Persist():
            issue = Issue("emit", "assign(...), because a machine persists its context", "Persist")
            return _not_an_event(machine, issue)
        case Complete():
            issue = Issue("emit", "output=..., because a machine completes at its end", "Complete")
            return _not_an_event(machine, issue)
        case Emit() | Compensate() | Log() | Fail() | Violate():
            return command
        case Schedule() | Cancel() | CancelChild():
            return command


def _not_an_event(machine: Machine[Any], issue: Issue) -> Violation:
    return ExecutionViolation(f"{machine.source} emits a value that is not an event", issue)


_EVENT_KEYS: Final = (
    "type", "data", "to", "domain", "redirectto", "accesscontrol", "executionunits", "id",
    "__extensions",
)  # fmt: skip
_OPTION_KEYS: Final = ("to", "domain", "redirectto", "accesscontrol", "executionunits")


def _from_mapping(machine: Machine[Any], event: Mapping[str, Any]) -> Emit | Violation:
    """Read an event in the shape that the TypeScript package's `emit` action takes."""
    unknown = [key for key in event if key not in _EVENT_KEYS]
    if unknown or not isinstance(event.get("type"), str):
        expected = f"a mapping with a type, and with no key but {', '.join(_EVENT_KEYS)}"
        issue = Issue("emit", expected, short_repr(event))
        return ExecutionViolation(f"{machine.source} emits a value that is not an event", issue)
    options = {key: event[key] for key in _OPTION_KEYS if key in event}
    return Emit(
        event.get("data", {}),
        type=event["type"],
        id=parse_id(event.get("id")),
        extensions=event.get("__extensions") or {},
        **options,
    )


def parse_id(value: Any) -> GivenId:
    """Read an id in the TypeScript package's shape: a string, or `{deduplication, value}`."""
    match value:
        case {"deduplication": "ARVO_MANAGED", "value": str(managed)}:
            return Managed(managed)
        case {"deduplication": "DEVELOPER_MANAGED", "value": own}:
            return str(own)
        case Managed() | str():
            return value
        case _:
            return None


def to_complete(machine: Machine[Any], output: Any) -> Complete | Violation:
    """Convert the output of a chart, which may be empty, to the workflow's completion."""
    match output:
        case Complete():
            return output
        case Mapping():
            data = {key: value for key, value in output.items() if not key.startswith("__")}
            return Complete(
                data,
                id=parse_id(output.get("__id")),
                executionunits=output.get("__executionunits"),
                domain=output.get("__domain", ()),
            )
        case _ if is_payload_class(type(output)):
            return Complete(output)
        case _:
            expected = "the payload of the workflow's completion"
            issue = Issue("output", expected, short_repr(output))
            return ExecutionViolation(f"{machine.source} has an invalid output", issue)
