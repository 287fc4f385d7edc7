"""Send: the form by which a person sends an event into the system."""

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from arvo.console.views.data import Block, show_data
from arvo.console.views.sending.form import FormField, make_form
from arvo.console.views.systems import sample_of
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.secrets import is_secret_property
from arvo.core.violations.issue import Issue
from arvo.engine.system.exported import declared_contracts
from arvo.engine.system.system import System

# The source of events that are sent from a page.
CONSOLE_SOURCE: Final = "arvo.console.form"


@final
@frozen(kw_only=True)
class Envelope:
    """The envelope of an event, each text empty for the default.

    *workflow_id*: the id of the workflow that it begins. *to*, *domain*, *redirectto*: attributes.
    """

    workflow_id: str = ""
    to: str = ""
    domain: str = ""
    redirectto: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether each of them is the default."""
        return not any((self.workflow_id, self.to, self.domain, self.redirectto))


@final
@frozen(kw_only=True)
class SendView:
    """The form. *choices*: the contracts by their dataschema. *text*: the payload as JSON.

    *fields*: the payload by its fields, None where it is edited as JSON, or its schema lists no
    fields (*has_fields*). *issues*: those that name no field. *is_workflow*: whether
    the event begins a workflow. *may_wait*: whether an answer can be waited for.
    """

    choices: tuple[tuple[str, str], ...]
    chosen: str
    text: Block
    fields: tuple[FormField, ...] | None
    has_fields: bool
    envelope: Envelope
    issues: tuple[Issue, ...]
    is_workflow: bool
    may_wait: bool


@final
@frozen(kw_only=True)
class Edited:
    """The edits of a person: *posted*, the texts of a form, *text*, the payload as JSON, or
    *data*, the payload of one of the two. Without any a sample is edited.
    """

    posted: Mapping[str, str] | None = None
    data: Mapping[str, Any] | None = None
    text: str | None = None
    envelope: Envelope = Envelope()
    issues: tuple[Issue, ...] = ()


UNEDITED: Final = Edited()


def show_send(
    system: System,
    chosen: VersionedContract[Any] | None,
    edited: Edited = UNEDITED,
    *,
    as_json: bool = False,
    is_runtime: bool = False,
) -> SendView:
    """Return the form for the contract *chosen*, with a sample where nothing was edited."""
    contracts = accepted_contracts(system)
    data = _sample(chosen) if edited.data is None else edited.data
    fields = make_form(form_schema(chosen), data, posted=edited.posted, issues=edited.issues)
    is_workflow = isinstance(chosen, VersionedWorkflow)
    named = () if fields is None or as_json else [it for field in fields for it in field.issues]
    return SendView(
        choices=tuple((it.dataschema, f"{it.type} {it.version}") for it in contracts),
        chosen="" if chosen is None else chosen.dataschema,
        text=Block((show_data(data).text or "{}") if edited.text is None else edited.text),
        fields=None if as_json else fields,
        has_fields=fields is not None,
        envelope=edited.envelope,
        issues=tuple(it for it in edited.issues if it not in named),
        is_workflow=is_workflow,
        may_wait=is_workflow or is_runtime,
    )


def form_schema(contract: VersionedContract[Any] | None) -> Mapping[str, Any]:
    """Return the schema of the form: the payload without the fields that the protocol adds."""
    if contract is None:
        return {}
    kind = contract.accepted.type
    schema = contract.accepted.schema if kind is None else Payload.of(kind).schema
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        schema["properties"] = _without_protocol(properties)
        schema["required"] = [it for it in schema.get("required", ()) if it != PARENT_SUBJECT]
    return schema


def hide_secret_fields(contract: VersionedContract[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload without its secret fields, for a page that shows it."""
    schema = form_schema(contract)
    return {key: it for key, it in data.items() if not is_secret_property(schema, key)}


def accepted_contracts(system: System) -> tuple[VersionedContract[Any], ...]:
    """Return the contracts of events that the handlers of a system take from outside."""
    return tuple(it for it in declared_contracts(system) if system.handler_at(it.type) is not None)


def find_accepted(system: System, dataschema: str) -> VersionedContract[Any] | None:
    """Return the contract with that dataschema, or None."""
    return next((it for it in accepted_contracts(system) if it.dataschema == dataschema), None)


def _sample(contract: VersionedContract[Any] | None) -> dict[str, Any]:
    sample = None if contract is None else sample_of(contract.accepted)
    return _without_protocol(sample) if isinstance(sample, Mapping) else {}


def _without_protocol(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != PARENT_SUBJECT}
