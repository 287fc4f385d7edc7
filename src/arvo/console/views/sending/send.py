"""Send: the form by which a person sends an event into the system."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from attrs import frozen

from arvo.console.views.data import Block, show_data
from arvo.console.views.systems import sample_of
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.violations.issue import Issue
from arvo.engine.system.exported import declared_contracts
from arvo.engine.system.system import System

# The source of events that are sent from a page.
CONSOLE_SOURCE: Final = "arvo.console.form"


@final
@frozen
class FieldRow:
    """A field of a payload: its type in words, and whether it must be there."""

    name: str
    type: str
    is_required: bool
    description: str


@final
@frozen(kw_only=True)
class SendView:
    """The form. *choices*: the contracts by their dataschema. *text*: the payload as it is edited.

    *issues*: what of it does not fit. *is_workflow*: whether the event begins a workflow, which may
    have an id of the sender's choice.
    """

    choices: tuple[tuple[str, str], ...]
    chosen: str
    text: Block
    workflow_id: str
    fields: tuple[FieldRow, ...]
    issues: tuple[Issue, ...]
    is_workflow: bool


def show_send(
    system: System,
    chosen: VersionedContract[Any] | None,
    *,
    text: str | None = None,
    workflow_id: str = "",
    issues: Sequence[Issue] = (),
) -> SendView:
    """Return the form for the contract *chosen*, with a sample where no *text* was edited."""
    contracts = accepted_contracts(system)
    schema = {} if chosen is None else chosen.accepted.schema
    return SendView(
        choices=tuple((it.dataschema, f"{it.type} {it.version}") for it in contracts),
        chosen="" if chosen is None else chosen.dataschema,
        text=Block(_sample(chosen) if text is None else text),
        workflow_id=workflow_id,
        fields=_fields(schema),
        issues=tuple(issues),
        is_workflow=isinstance(chosen, VersionedWorkflow),
    )


def accepted_contracts(system: System) -> tuple[VersionedContract[Any], ...]:
    """Return the contracts of events that the handlers of a system take from outside."""
    return tuple(it for it in declared_contracts(system) if system.handler_at(it.type) is not None)


def find_accepted(system: System, dataschema: str) -> VersionedContract[Any] | None:
    """Return the contract with that dataschema, or None."""
    return next((it for it in accepted_contracts(system) if it.dataschema == dataschema), None)


def _sample(contract: VersionedContract[Any] | None) -> str:
    sample = None if contract is None else sample_of(contract.accepted)
    return show_data({} if sample is None else _without_protocol(sample)).text or "{}"


def _without_protocol(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != PARENT_SUBJECT}


def _fields(schema: Mapping[str, Any]) -> tuple[FieldRow, ...]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return ()
    required = schema.get("required", ())
    return tuple(
        FieldRow(name, type_text(part), name in required, str(part.get("description", "")))
        for name, part in properties.items()
        if name != PARENT_SUBJECT and isinstance(part, Mapping)
    )


def type_text(schema: Mapping[str, Any]) -> str:
    """Return what a field holds, in words.

    >>> type_text({"type": "string", "format": "email"}), type_text({"enum": ["a", "b"]})
    ('string (email)', 'one of a, b')
    """
    match schema:
        case {"enum": list(values)}:
            return f"one of {', '.join(map(str, values))}"
        case {"const": value}:
            return f"always {value}"
        case {"anyOf": list(parts)} | {"oneOf": list(parts)}:
            return " or ".join(type_text(part) for part in parts if isinstance(part, Mapping))
        case {"type": str(kind), "format": str(name)}:
            return f"{kind} ({name})"
        case {"type": "array", "items": Mapping() as items}:
            return f"list of {type_text(items)}"
        case {"type": kind}:
            return str(kind)
        case {"$ref": str(reference)}:
            return reference.rpartition("/")[2]
        case _:
            return "any"
