"""Example: makes one small valid value of a payload, for trying out a handler."""

import re
from collections.abc import Mapping
from math import ceil
from typing import Any, Final, TypeVar

from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues

T = TypeVar("T")

# A schema nests deeper only if it contains itself, and then the inner part is optional.
EXAMPLE_DEPTH_MAX: Final = 20
# A string of each format.
_STRINGS: Final[Mapping[str, str]] = {
    "date-time": "2026-01-02T03:04:05+00:00",
    "date": "2026-01-02",
    "time": "03:04:05+00:00",
    "duration": "P1D",
    "email": "a@example.org",
    "idn-email": "a@example.org",
    "hostname": "example.org",
    "idn-hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/a",
    "uri-reference": "/a",
    "iri": "https://example.org/a",
    "iri-reference": "/a",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri-template": "/a",
    "json-pointer": "/a",
    "relative-json-pointer": "0",
    "regex": "a",
}
# Strings that match the patterns of dates, durations, decimals, bytes and common codes.
_CANDIDATES: Final = (
    *("", "a", "A", "0", "1.0", "aa", "AA", "00", "a1", "A1", "abc", "ABC", "000", "03:04:05"),
    *(
        "P1D",
        "PT1S",
        "2026-01-02",
        "2026-01-02T03:04:05Z",
        "03:04:05",
        "https://a.org",
        "AAAA",
        "aaaa",
        "0000",
        "1.0.0",
        "00000",
        "a-1",
        "A-1",
        "AA-00",
        "a@b.cc",
    ),
)


def make_example(payload: Payload[T]) -> T | None:
    """Make a valid value of *payload*; returns None if that needs a cleverer search.

    >>> from attrs import frozen
    >>> @frozen
    ... class Ping:
    ...     text: str
    >>> make_example(Payload.of(Ping))
    Ping(text='a')
    """
    if payload.members:
        return make_example(payload.members[0])
    schema = payload.checked_schema
    value = payload.read(_value(schema, schema, 0))
    return None if isinstance(value, Issues) else value


def _value(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > EXAMPLE_DEPTH_MAX:
        return None
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        return _value(root.get("$defs", {}).get(name), root, depth + 1)
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return _value(schema[keyword][0], root, depth + 1)
    return _value_of_type(schema, root, depth)


def _value_of_type(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "string":
            return _string(schema)
        case "integer" | "number" as number:
            return _number(schema, whole=number == "integer")
        case "boolean":
            return False
        case "array":
            return _items(schema, root, depth)
        case "object":
            properties = schema.get("properties", {})
            required = schema.get("required", ())
            return {name: _value(properties.get(name), root, depth + 1) for name in required}
        case _:
            return None


def _items(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> list[Any]:
    first = [_value(item, root, depth + 1) for item in schema.get("prefixItems", ())]
    missing = min(schema.get("minItems", 0), 100) - len(first)
    return first + [_value(schema.get("items"), root, depth + 1) for _ in range(missing)]


def _string(schema: Mapping[str, Any]) -> str:
    if schema.get("format") in _STRINGS:
        return _STRINGS[schema["format"]]
    shortest: int = min(schema.get("minLength", 0), 1_000)
    longest: int = schema.get("maxLength", 1_000)
    pattern: str | None = schema.get("pattern")
    for candidate in _CANDIDATES if pattern is not None else ():
        if shortest <= len(candidate) <= longest and _matches(str(pattern), candidate):
            return candidate
    return "a" * max(shortest, min(1, longest))


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False  # not Python's syntax


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    step = schema.get("multipleOf", 1 if whole else 0.5)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    candidates = [0, 1, *([low, low + step] if low is not None else [])]
    candidates += [high, high - step] if high is not None else []
    if low is not None and high is not None:
        candidates.append((low + high) / 2)
    candidates += [ceil(bound / step) * step for bound in (low, high) if bound is not None and step]
    for candidate in candidates:
        if _fits(schema, candidate) and (not whole or candidate == int(candidate)):
            return int(candidate) if whole else float(candidate)
    return 0


def _fits(schema: Mapping[str, Any], number: float) -> bool:
    step = schema.get("multipleOf")
    return (
        number >= schema.get("minimum", number)
        and number <= schema.get("maximum", number)
        and number > schema.get("exclusiveMinimum", number - 1)
        and number < schema.get("exclusiveMaximum", number + 1)
        and (not step or number % step == 0)
    )
