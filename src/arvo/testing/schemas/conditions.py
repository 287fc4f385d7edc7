"""Conditions: the keywords that leave a choice, as lists of alternative schemas.

A value that fits one alternative of each list may still be refused; the validator decides. The
lists make sure that values for each side of a condition are drawn at all.
"""

from collections.abc import Iterator
from typing import Any, Final

from arvo.testing.schemas.json_schema import ALTERNATIVES, Schema, json_types

_TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
# For the negation of a bound, the bound on the other side.
_OPPOSITES: Final = {
    "minimum": "exclusiveMaximum",
    "exclusiveMinimum": "maximum",
    "maximum": "exclusiveMinimum",
    "exclusiveMaximum": "minimum",
}
# For the negation of a limit, the limit on the other side, and the distance of the two.
_LIMITS: Final = {
    "minLength": ("maxLength", -1),
    "maxLength": ("minLength", 1),
    "minItems": ("maxItems", -1),
    "maxItems": ("minItems", 1),
    "minProperties": ("maxProperties", -1),
    "maxProperties": ("minProperties", 1),
}
# Keywords of which only the validator can refuse a value; the second ones depend on their siblings.
_NOT_INVERTIBLE: Final = frozenset(
    {"items", "prefixItems", "contains", "$ref", "oneOf", "const", "enum", "pattern", "format"}
    | {"multipleOf", "uniqueItems", "propertyNames"}
)
_CONNECTED: Final = frozenset(
    {"additionalProperties", "patternProperties", "if", "dependentRequired", "dependentSchemas"}
)


def alternatives_of(schema: Schema) -> list[list[Any]]:
    """Return the lists of alternatives that the keywords of *schema* itself stand for."""
    lists = [list(schema[keyword]) for keyword in ("anyOf", "oneOf") if keyword in schema]
    if "if" in schema:
        condition = schema["if"]
        lists.append(
            [
                {"allOf": [condition, schema.get("then", True)]},
                *({"allOf": [other, schema.get("else", True)]} for other in negate(condition)),
            ]
        )
    if "not" in schema:
        lists.append(list(negate(schema["not"])))
    for key, names in schema.get("dependentRequired", {}).items():
        lists.append([_without(key), {"type": "object", "required": [key, *names]}])
    for key, inner in schema.get("dependentSchemas", {}).items():
        present = {"type": "object", "required": [key]}
        lists.append([_without(key), {"allOf": [present, inner]}])
    return lists


def negate(schema: Any) -> Iterator[Any]:
    """Yield schemas that together allow every value that *schema* refuses, and perhaps more."""
    if not isinstance(schema, dict):
        yield not schema
        return
    for keyword, value in schema.items():
        yield from _negate_keyword(keyword, value, schema)


def _negate_keyword(keyword: str, value: Any, schema: Schema) -> Iterator[Any]:
    if keyword in _OPPOSITES:
        yield {_OPPOSITES[keyword]: value}
    elif keyword in _LIMITS:
        other, distance = _LIMITS[keyword]
        if value + distance >= 0:
            yield {other: value + distance}
    elif keyword in _NOT_INVERTIBLE:
        yield {"not": {word: schema[word] for word in schema.keys() & {keyword, "type"}}}
    elif keyword in _CONNECTED:
        yield {"not": schema}
    else:
        yield from _negate_structure(keyword, value, schema)


def _negate_structure(keyword: str, value: Any, schema: Schema) -> Iterator[Any]:
    match keyword:
        case "type":
            excluded = json_types(schema)
            yield {"type": [name for name in _TYPES if name not in excluded]}
        case "required":
            yield from map(_without, value)
        case "properties":
            for name, property_ in value.items():
                for other in negate(property_):
                    yield {"type": "object", "required": [name], "properties": {name: other}}
        case "allOf":
            for part in value:
                yield from negate(part)
        case "anyOf":
            yield {"allOf": [{ALTERNATIVES: [list(negate(branch))]} for branch in value]}
        case "not":
            yield value
        case _:
            # An annotation, or a keyword that the others of its schema stand for.
            return


def _without(key: str) -> dict[str, Any]:
    return {"type": "object", "properties": {key: False}}
