"""Form: the fields of a payload, made from its JSON Schema, and the payload that they hold.

The name of a control begins with how its text is read: `text:` is a string, `number:` a number,
`json:` any JSON. An empty control holds no value, unless it is a string that is required.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias, final

import orjson
from attrs import frozen

from arvo.console.views.data import Block
from arvo.core.events.json_text import parse_json
from arvo.core.payloads.secrets import is_secret_property, resolve_reference
from arvo.core.violations.issue import Issue, Issues, join_path

Control: TypeAlias = Literal["text", "select", "password", "json"]
Encoding: TypeAlias = Literal["text", "number", "json"]

# A longer text stands in a field of several lines; and a form has a limited number of fields.
TEXT_CHARACTERS_MAX: Final = 1_000
FIELDS_MAX: Final = 60
_ENCODINGS: Final[Mapping[str, Encoding]] = {"text": "text", "number": "number", "json": "json"}
# A reference may lead to another one; more of them than this lead in a circle.
_REFERENCES_MAX: Final = 20
_ABSENT: Final = object()


@final
@frozen(kw_only=True)
class FormField:
    """One field of a payload: its *label*, the *name* and *value* of its control, and its *issues*.

    *options*: of a select, each with its text. *type*: its content, in words.
    """

    label: str
    name: str
    control: Control
    value: Block
    type: str
    is_required: bool
    description: str = ""
    options: tuple[tuple[Block, str], ...] = ()
    issues: tuple[Issue, ...] = ()

    @property
    def encoding(self) -> str:
        """How the text of its control is read."""
        return self.name.partition(":")[0]


def make_form(
    schema: Mapping[str, Any],
    data: Mapping[str, Any],
    *,
    posted: Mapping[str, str] | None = None,
    issues: Iterable[Issue] = (),
) -> tuple[FormField, ...] | None:
    """Return the fields of a payload with *data*, or with the texts of a form that was *posted*.

    Each has those of the *issues* that name it. A secret that was posted is not shown. Returns None
    where the schema does not list its fields, as that of several classes, or lists too many.
    """
    properties = schema.get("properties")
    texts = {} if posted is None else {key: it for key, *it in _controls(posted)}
    keys = tuple(dict.fromkeys((*(properties or ()), *data, *texts)))
    is_plain = all(key.isprintable() and len(key) <= TEXT_CHARACTERS_MAX for key in keys)
    if not isinstance(properties, Mapping) or len(keys) > FIELDS_MAX or not is_plain:
        return None
    listed = tuple(issues)
    return tuple(
        _field(schema, key, data.get(key, _ABSENT), texts.get(key), listed) for key in keys
    )


def read_form(schema: Mapping[str, Any], posted: Mapping[str, str]) -> dict[str, Any] | Issues:
    """Return the payload that the controls of a form hold, or which of them hold no JSON.

    A text that is no number stays one: the check of the payload then says what it expects.
    """
    required = schema.get("required", ())
    data: dict[str, Any] = {}
    issues: list[Issue] = []
    for key, encoding, text in _controls(posted):
        if encoding == "text":
            if text or key in required:
                data[key] = text
        elif text.strip():
            value = parse_json(text, join_path("data", key), join_path("data", key))
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if encoding == "number":
                data[key] = value if is_number else text
            elif isinstance(value, Issues):
                issues += value.items
            else:
                data[key] = value
    return Issues.of(issues) if issues else data


def names_field(path: str, key: str) -> bool:
    """Return whether the path of an issue leads to a field of the data, or into it."""
    field = join_path("data", key)
    return path == field or path.startswith((f"{field}.", f"{field}["))


def _controls(posted: Mapping[str, str]) -> Iterable[tuple[str, Encoding, str]]:
    """Yield the key, the encoding and the text of each control."""
    for name, text in posted.items():
        prefix, colon, key = name.partition(":")
        if colon and prefix in _ENCODINGS:
            yield key, _ENCODINGS[prefix], with_plain_lines(text)


def with_plain_lines(text: str) -> str:
    """Return a text without the carriage returns that a browser adds to line breaks."""
    return text.replace("\r\n", "\n")


def _field(
    schema: Mapping[str, Any],
    key: str,
    value: object,
    posted: "list[Any] | None",
    issues: tuple[Issue, ...],
) -> FormField:
    part = schema["properties"].get(key, {})
    is_required = key in schema.get("required", ())
    choices = _choices(part, schema)
    if posted is None:
        encoding, text = _write(part, schema, value, is_required=is_required)
    else:
        encoding, text = posted
    options = tuple((Block(_json(it)), it if isinstance(it, str) else _json(it)) for it in choices)
    is_listed = encoding == "json" and (not text or text in dict(options))
    control: Control = "text" if encoding != "json" else "json"
    if is_secret_property(schema, key):
        control = "password"
        text = "" if posted else text
    elif options and is_listed:
        control = "select"
    return FormField(
        label=key,
        name=f"{encoding}:{key}",
        control=control,
        value=Block(text),
        type=type_text(part),
        is_required=is_required,
        description=str(part.get("description", "")),
        options=((Block(""), "–"), *options) if control == "select" else (),
        issues=tuple(it for it in issues if names_field(it.path, key)),
    )


def _write(
    part: Mapping[str, Any], root: Mapping[str, Any], value: Any, *, is_required: bool
) -> tuple[Encoding, str]:
    """Return how a control holds a value, and its text."""
    kinds = _kinds(part, root) - {"null"}
    simple: Encoding = "json"
    if not _choices(part, root):
        if kinds == {"string"}:
            simple = "text"
        elif kinds and kinds <= {"integer", "number"}:
            simple = "number"
    is_default = not is_required and _is_same(part.get("default", _ABSENT), value)
    if value is _ABSENT or (value in (None, "") and is_default):
        return simple, ""
    match value:
        case str() if simple == "text" and _is_line(value) and (value or is_required):
            return "text", value
        case int() | float() if simple == "number" and not isinstance(value, bool):
            return "number", orjson.dumps(value).decode()
        case _:
            return "json", _json(value)


def _is_line(text: str) -> bool:
    return text.isprintable() and len(text) <= TEXT_CHARACTERS_MAX


def _is_same(left: object, right: object) -> bool:
    return type(left) is type(right) and left == right


def _json(value: object) -> str:
    # In ASCII: a page shows other characters that are not visible as escape sequences of its own.
    return json.dumps(value, indent=2 if isinstance(value, dict | list) else None)


def _resolved(part: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(_REFERENCES_MAX):
        if not isinstance(part, Mapping) or "$ref" not in part:
            break
        part = resolve_reference(part["$ref"], root)
    return part if isinstance(part, Mapping) else {}


def _alternatives(part: Mapping[str, Any]) -> list[Any]:
    listed = part.get("anyOf") or part.get("oneOf")
    return listed if isinstance(listed, list) else []


def _kinds(part: Any, root: Mapping[str, Any], depth: int = 0) -> set[str]:
    """Return the JSON types that a value may have; `any` where the schema does not say."""
    part = _resolved(part, root)
    if depth < _REFERENCES_MAX and (alternatives := _alternatives(part)):
        return set[str]().union(*(_kinds(it, root, depth + 1) for it in alternatives))
    kind = part.get("type", "any")
    return set(kind) if isinstance(kind, list) else {str(kind)}


def _choices(part: Any, root: Mapping[str, Any], depth: int = 0) -> tuple[Any, ...]:
    """Return all values that a field may have, if the schema lists them; else none."""
    part = _resolved(part, root)
    match part:
        case {"const": value}:
            return (value,)
        case {"enum": list(values)}:
            return tuple(values)
        case {"type": "boolean"}:
            return True, False
        case {"type": "null"} if depth:
            return (None,)
    if depth >= _REFERENCES_MAX:
        return ()
    found = [_choices(it, root, depth + 1) for it in _alternatives(part)]
    return tuple(value for each in found for value in each) if all(found) else ()


def type_text(schema: Mapping[str, Any]) -> str:
    """Return the content of a field, in words.

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
