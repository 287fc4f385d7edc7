"""Parts: the schemas inside a document, each with the path of the values that it describes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

import orjson
from attrs import frozen

from arvo.core.violations.issue import short_repr
from arvo.testing.schemas.document import Document
from arvo.testing.schemas.json_schema import ANNOTATIONS, Schema
from arvo.testing.schemas.regex.ecma import UntranslatablePattern, compile_pattern

# A longer text of a schema is not useful in a message.
SCHEMA_CHARACTERS_MAX: Final = 300
# No contract has as many.
PARTS_MAX: Final = 2_000

_BRANCHES: Final = ("allOf", "anyOf", "oneOf")
_SIDES: Final = ("then", "else")
# Keywords whose values are schemas, which have parts of their own.
_INNER: Final = frozenset(
    {"properties", "patternProperties", "prefixItems", "dependentSchemas", *_BRANCHES}
)


@final
@frozen
class Part:
    """A *schema* inside a document, and the *path* of its values (`data.lines[].sku`)."""

    path: str
    schema: Schema

    def describe(self) -> str:
        """Return the keywords of the schema itself, as JSON."""
        own = {key: _shorten(key, value) for key, value in self.schema.items() if key[0] != "$"}
        text = orjson.dumps(own).decode()
        return text if len(text) <= SCHEMA_CHARACTERS_MAX else f"{text[:SCHEMA_CHARACTERS_MAX]}…"


def _shorten(keyword: str, value: Any) -> Any:
    """Leave out the schemas inside, which are parts of their own; retain the names."""
    if keyword in _INNER and isinstance(value, Mapping):
        return list(value)
    return f"{len(value)} schemas" if keyword in _INNER else value


def parts_of(document: Document, path: str) -> Iterator[Part]:
    """Yield the parts that a value may have, those inside first; each definition once."""
    pending: list[tuple[str, Any]] = [(path, document.schema)]
    found: list[Part] = []
    seen: set[str] = set()
    while pending and len(found) < PARTS_MAX:
        where, schema = pending.pop()
        if not isinstance(schema, Mapping) or not schema:
            continue
        if schema.keys() - ANNOTATIONS or "$ref" not in schema:
            found.append(Part(where, schema))
        if "$ref" in schema and schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            target = document.definitions[schema["$ref"].removeprefix("#/$defs/")]
            pending.append((where, target))
        pending += _inner(where, schema)
    yield from reversed(found)


def _inner(path: str, schema: Schema) -> Iterator[tuple[str, Any]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
    for pattern, inner in schema.get("patternProperties", {}).items():
        yield f"{path}.{{{pattern}}}", inner
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        yield f"{path}.*", schema.get(keyword)
    for position, inner in enumerate(schema.get("prefixItems", ())):
        yield f"{path}[{position}]", inner
    for keyword in ("items", "contains"):
        yield f"{path}[]", schema.get(keyword)
    for keyword in _BRANCHES:
        yield from ((path, inner) for inner in schema.get(keyword, ()))
    for inner in (*schema.get("dependentSchemas", {}).values(), *map(schema.get, _SIDES)):
        yield path, inner


def untranslatable_pattern(document: Document, path: str) -> str | None:
    """Return the path and the reason of a pattern that Python cannot express, or None."""
    for part in parts_of(document, path):
        if part.schema.keys() & {"const", "enum"}:
            continue
        for pattern in _patterns(part.schema):
            try:
                compile_pattern(pattern)
            except UntranslatablePattern as error:
                shown = short_repr(pattern)
                return f"{part.path}: no string is drawn for the pattern {shown}: {error}"
    return None


def _patterns(schema: Schema) -> Iterator[str]:
    for strings in (schema, schema.get("propertyNames")):
        if isinstance(strings, Mapping) and "pattern" in strings:
            yield strings["pattern"]
    yield from schema.get("patternProperties", ())
