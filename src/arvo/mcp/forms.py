"""Forms: the question of a workflow to a person as an elicitation, and the answer as an event."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

import orjson
from attrs import frozen
from mcp_types import ElicitRequest, ElicitRequestFormParams

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ContractViolation, Violated
from arvo.engine.step.doors import requesting_subject
from arvo.mcp.results import shown_text

# The field by which a person chooses one of several answers, and that of an answer as JSON.
OUTCOME: Final = "outcome"
AS_JSON: Final = "answer"
DECLINED: Final = "Declined"

_PRIMITIVES: Final = ("string", "number", "integer", "boolean")
# The keywords that the schema of a field of a form may have.
_KEYWORDS: Final = (
    "type",
    "title",
    "description",
    "default",
    "enum",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
)
_FORMATS: Final = ("email", "uri", "date", "date-time")


@final
@frozen
class Question:
    """An open request of a workflow that left by a domain, with the contract that answers it."""

    request: Event[Any]
    contract: VersionedContract[Any]

    def form(self, problem: str | None = None) -> ElicitRequest:
        """Return the form for a person. *problem*: the fault of the last answer.

        A form has flat fields only. Each answer of the contract gives its own; where they cannot
        be shown, one field takes the answer as JSON.
        """
        text = self.contract.description or self.contract.type
        lines = [f"{text} {shown_text(self.contract, self.request)}"]
        if problem is not None:
            lines.append(f"The last answer was refused: {problem}")
        return ElicitRequest(
            params=ElicitRequestFormParams(
                message="\n".join(lines), requested_schema=self._requested_schema()
            )
        )

    def answer(self, content: Mapping[str, Any]) -> Event[Any]:
        """Make the event that a filled form stands for; raises `Violated` if it fits no answer."""
        chosen = content.get(OUTCOME, self._types[0])
        if chosen not in self._types:
            issue = Issue(OUTCOME, f"one of {', '.join(self._types)}", short_repr(chosen))
            raise Violated(ContractViolation("this is no answer", issue))
        fields = self._fields()
        if fields is None:
            data = _parse(content.get(AS_JSON))
        else:
            own = fields[chosen].items()
            # A form has no null: an empty field is one where the payload needs it.
            empty = {key: None for key, field in own if field.needs_null}
            data = empty | {key: content[key] for key, _ in own if key in content}
        return self.contract.emits(data, type=chosen, **self._addresses())

    def decline(self, reason: str) -> Event[SystemFault]:
        """Make the system error by which a person declines."""
        fault = SystemFault(errorName=DECLINED, errorMessage=reason)
        return self.contract.system_error(fault, **self._addresses())

    def _addresses(self) -> Any:
        request = self.request
        return {
            "source": self.contract.type,
            "subject": requesting_subject(request),
            "to": request.redirectto or request.source,
            "parentid": request.id,
        }

    @property
    def _types(self) -> tuple[str, ...]:
        return tuple(self.contract.emitted)

    def _requested_schema(self) -> dict[str, Any]:
        properties, required = dict[str, Any](), list[str]()
        if len(self._types) > 1:
            properties[OUTCOME] = {"type": "string", "enum": list(self._types)}
            required.append(OUTCOME)
        fields = self._fields()
        if fields is None:
            schemas = {name: payload.schema for name, payload in self.contract.emitted.items()}
            properties[AS_JSON] = {
                "type": "string",
                "title": "The answer as JSON",
                "description": orjson.dumps(schemas).decode(),
            }
            required.append(AS_JSON)
        else:
            for own in fields.values():
                properties |= {key: field.schema for key, field in own.items()}
            if len(fields) == 1:
                [own] = fields.values()
                required += [key for key, field in own.items() if field.is_required]
        return {"type": "object", "properties": properties, "required": required}

    def _fields(self) -> "_Fields | None":
        """Return the fields of each answer; None if one has others than flat ones, or if two
        answers mean different things by a name.
        """
        found: _Fields = {}
        seen: dict[str, Any] = {OUTCOME: None, AS_JSON: None}
        for name, payload in self.contract.emitted.items():
            own = _flat_fields(payload.schema)
            if own is None:
                return None
            for key, field in own.items():
                if seen.setdefault(key, field.schema) != field.schema:
                    return None
            found[name] = own
        return found


@final
@frozen
class _Field:
    """A field of a form. *needs_null*: the payload has null where it is empty."""

    schema: dict[str, Any]
    is_required: bool
    needs_null: bool


# By the type of the answer, and by the key.
_Fields = dict[str, dict[str, _Field]]


def _flat_fields(schema: Mapping[str, Any]) -> dict[str, _Field] | None:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return None
    required, fields = schema.get("required", ()), dict[str, _Field]()
    for key, inner in properties.items():
        options = list(_alternatives(inner, schema))
        values = [it for it in options if it.get("type") != "null"]
        field = _flat_schema(values[0]) if len(values) == 1 else None
        if field is None:
            return None
        needs_null = key in required and len(options) > 1
        fields[key] = _Field(field, key in required and not needs_null, needs_null)
    return fields


def _flat_schema(only: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a field of a form, or None if a form has no such field."""
    if "const" in only:
        only = {"type": "string", "enum": [only["const"]], **only}
    if only.get("type") not in _PRIMITIVES or only.get("writeOnly"):
        return None
    values = only.get("enum", ())
    if values and not all(isinstance(value, str) for value in values):
        return None
    field = {key: only[key] for key in _KEYWORDS if key in only}
    if field.get("format", _FORMATS[0]) not in _FORMATS:
        del field["format"]
    if field.get("default", "") is None:
        del field["default"]
    return field


def _alternatives(schema: Any, root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas of which a value fits one, with definitions in place of references."""
    if not isinstance(schema, Mapping):
        return
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name:
        # A class of payloads has fields, so a reference to a reference is no field of a form.
        inner = root.get("$defs", {}).get(name, {})
        yield {**{key: it for key, it in schema.items() if key != "$ref"}, **inner}
        return
    options = schema.get("anyOf", schema.get("oneOf"))
    if not isinstance(options, list | tuple):
        yield schema
        return
    outer = {key: it for key, it in schema.items() if key not in ("anyOf", "oneOf")}
    for option in options:
        for inner in _alternatives(option, root):
            yield {**outer, **inner}


def _parse(text: object) -> Any:
    try:
        data = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        issue = Issue(AS_JSON, "a JSON object", short_repr(text))
        raise Violated(ContractViolation("this is no answer", issue))
    return data
