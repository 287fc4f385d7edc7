"""JSON schema: merge two schemas that both apply, read the types and constants of a schema."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any, Final, TypeAlias

from arvo.core.payloads.json_data import canonical

Schema: TypeAlias = Mapping[str, Any]

# Keywords that do not restrict the value at their own place.
ANNOTATIONS: Final = frozenset({"$ref", "title", "description", "default", "examples", "$comment"})

# Keywords of this kit, which a validator ignores: a list of lists of schemas, of each of which one
# must fit; the conditions of all `contains`; and the patterns that a string must match.
ALTERNATIVES: Final = "$alternatives"
CONTAINS: Final = "$contains"
PATTERNS: Final = "$patterns"

_UPPER_BOUNDS: Final = frozenset(
    {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
)
_LOWER_BOUNDS: Final = frozenset(
    {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
)
_OBJECTS: Final = ("properties", "patternProperties", "additionalProperties")
_KEYWORDS_BY_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({*_OBJECTS, "required", "propertyNames", "minProperties", "maxProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"}),
    "string": frozenset({"pattern", "format", "minLength", "maxLength"}),
    "number": frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    ),
}


def all_of(parts: Sequence[Any]) -> Any:
    """Return one schema for *parts*, all of which apply.

    >>> all_of([True, {"type": "string"}, {}])
    {'type': 'string'}
    """
    if any(part is False for part in parts):
        return False
    restricting = [part for part in parts if part is not True and part != {}]
    if not restricting:
        return True
    return restricting[0] if len(restricting) == 1 else {"allOf": restricting}


def merge(one: Schema, other: Schema) -> Schema:
    """Combine two schemas that both apply into one.

    A keyword that both have and that cannot be combined keeps its value in *other*.
    """
    both = {**one, **other}
    for keyword in one.keys() & other.keys():
        both[keyword] = _merge_keyword(keyword, one, other)
    if "const" in one and "const" in other and canonical(one["const"]) != canonical(other["const"]):
        both["type"] = []
    if "pattern" in one and "pattern" in other and one["pattern"] != other["pattern"]:
        both[PATTERNS] = list(dict.fromkeys([*patterns_of(one), *patterns_of(other)]))
    if any(keyword in schema for keyword in _OBJECTS for schema in (one, other)):
        both |= _merge_properties(one, other)
    if any("prefixItems" in schema for schema in (one, other)):
        length = max(len(schema.get("prefixItems", ())) for schema in (one, other))
        both["prefixItems"] = [
            all_of([_item_at(one, position), _item_at(other, position)])
            for position in range(length)
        ]
    return both


def _merge_keyword(keyword: str, one: Schema, other: Schema) -> Any:
    first, second = one[keyword], other[keyword]
    if keyword in _UPPER_BOUNDS:
        return min(first, second)
    if keyword in _LOWER_BOUNDS:
        return max(first, second)
    match keyword:
        case "type":
            return _common_types(json_types(one), json_types(other))
        case "required":
            return list(dict.fromkeys([*first, *second]))
        case "enum":
            known = set(map(canonical, first))
            return [value for value in second if canonical(value) in known]
        case "multipleOf":
            return _common_multiple(Fraction(str(first)), Fraction(str(second)))
        case "allOf" | "$alternatives" | "$contains":
            return [*first, *second]
        case "uniqueItems":
            return first or second
        case "items" | "propertyNames" | "unevaluatedItems" | "unevaluatedProperties":
            return all_of([first, second])
        case "not":
            return {"anyOf": [first, second]}
        case _:
            return second


def _merge_properties(one: Schema, other: Schema) -> dict[str, Any]:
    """Merge the keywords for properties: each schema's additional ones hold for the other's."""
    merged: dict[str, Any] = {}
    for keyword in ("properties", "patternProperties"):
        names = dict.fromkeys([*one.get(keyword, {}), *other.get(keyword, {})])
        if names or keyword in one or keyword in other:
            merged[keyword] = {
                name: all_of([_property(schema, keyword, name) for schema in (one, other)])
                for name in names
            }
    additional = [
        schema["additionalProperties"]
        for schema in (one, other)
        if "additionalProperties" in schema
    ]
    if additional:
        merged["additionalProperties"] = all_of(additional)
    return merged


def _property(schema: Schema, keyword: str, name: str) -> Any:
    if name in schema.get(keyword, {}):
        return schema[keyword][name]
    # By a pattern the name may be allowed; the validator decides.
    is_open = "patternProperties" in schema or keyword == "patternProperties"
    return True if is_open else schema.get("additionalProperties", True)


def _item_at(schema: Schema, position: int) -> Any:
    prefix = schema.get("prefixItems", ())
    return prefix[position] if position < len(prefix) else schema.get("items", True)


def _common_multiple(one: Fraction, other: Fraction) -> int | float:
    common = Fraction(lcm(one.numerator, other.numerator)) / gcd(one.denominator, other.denominator)
    return int(common) if common.denominator == 1 else float(common)


def _common_types(one: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
    # An integer is also a number, so "integer" and "number" have "integer" in common.
    return [
        name
        for name in dict.fromkeys((*one, *other))
        if all(name in side or (name == "integer" and "number" in side) for side in (one, other))
    ]


def patterns_of(schema: Schema) -> tuple[str, ...]:
    """Return the patterns that a string of *schema* must match."""
    if PATTERNS in schema:
        return tuple(schema[PATTERNS])
    return (schema["pattern"],) if "pattern" in schema else ()


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
