"""JSON schema: resolve references in a JSON Schema, merge two schemas, read their types."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

Schema: TypeAlias = Mapping[str, Any]

# Keywords that do not restrict the value at their own place.
ANNOTATIONS: Final = frozenset({"$ref", "title", "description", "default", "examples", "$comment"})

_UPPER_BOUNDS: Final = frozenset(
    {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
)
_LOWER_BOUNDS: Final = frozenset(
    {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
)
_KEYWORDS_BY_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties", "patternProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"pattern", "format", "minLength", "maxLength"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
}


def resolve_reference(root: Schema, ref: str) -> Any:
    """Return the schema that *ref*, a JSON Pointer into the document *root*, refers to."""
    target: Any = root
    for step in unquote(ref.removeprefix("#")).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        target = target[int(key)] if isinstance(target, list) else target[key]
    return target


def merge(one: Schema, other: Schema) -> Schema:
    """Combine two schemas that both apply into one.

    A keyword that both have and that cannot be combined keeps its value in *other*.
    """
    both = {**one, **other}
    for keyword in one.keys() & other.keys():
        if keyword in _UPPER_BOUNDS:
            both[keyword] = min(one[keyword], other[keyword])
        elif keyword in _LOWER_BOUNDS:
            both[keyword] = max(one[keyword], other[keyword])
        elif keyword == "properties":
            both[keyword] = {**one[keyword], **other[keyword]}
        elif keyword == "type":
            both[keyword] = _common_types(json_types(one), json_types(other))
        elif keyword == "required":
            both[keyword] = list(dict.fromkeys([*one[keyword], *other[keyword]]))
    return both


def _common_types(one: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
    # An integer is also a number, so "integer" and "number" have "integer" in common.
    return [
        name
        for name in dict.fromkeys((*one, *other))
        if all(name in side or (name == "integer" and "number" in side) for side in (one, other))
    ]


def json_types(schema: Schema) -> tuple[str, ...]:
    """Return the names of the JSON types that *schema* describes."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return (declared,)
    if declared is not None:
        return tuple(declared)
    implied = tuple(name for name, words in _KEYWORDS_BY_TYPE.items() if schema.keys() & words)
    # JSON Schema applies `minLength` to strings only and accepts every other type. An author who
    # writes it means a string, so the other types are left out.
    return implied or ("null", "boolean", "number", "string", "array", "object")
