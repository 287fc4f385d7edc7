"""JSON values: a Hypothesis strategy for the JSON data that a JSON Schema allows.

Not hypothesis-jsonschema: it reads drafts up to 7, and contracts are written in 2020-12.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import orjson
from attrs import define, field
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.payloads.validation import compile_validator
from arvo.testing.strategies.json_schema import (
    ANNOTATIONS,
    Schema,
    json_types,
    merge,
    resolve_reference,
)
from arvo.testing.strategies.numbers import INTEGER_MAX, INTEGER_MIN, floats, integers
from arvo.testing.strategies.strings import CHARACTERS, strings

JsonValues: TypeAlias = SearchStrategy[Any]

# Items and properties beyond those that the schema requires. Longer lists test nothing more, and
# they shrink more slowly.
ITEMS_MAX: Final = 4

_SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS, max_size=8)
)
ANY_JSON: Final[JsonValues] = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(CHARACTERS, max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
# Keywords that no strategy satisfies by construction. The values are validated and filtered.
_FILTERED_KEYWORDS: Final = frozenset(
    {"allOf", "oneOf", "not", "if", "contains", "dependentRequired", "dependentSchemas", "pattern"}
    | {"unevaluatedProperties", "unevaluatedItems", "minProperties", "maxProperties", "format"}
    | {"multipleOf", "propertyNames", "dependencies", "patternProperties", "anyOf", "enum"}
)


def json_values(schema: Schema) -> JsonValues:
    """Draw any JSON data that *schema* allows, the simplest first.

    Supports the keywords of draft 2020-12 that contracts use. References to other documents are not
    resolved.
    """
    return _SchemaStrategies(schema).for_schema(schema)


@define
class _SchemaStrategies:
    """Builds the strategies of one schema document, and caches one for each reference."""

    root: Schema
    references: dict[str, JsonValues] = field(factory=dict)

    def for_schema(self, schema: Any) -> JsonValues:
        if schema is True or schema == {}:
            return ANY_JSON
        if schema is False or schema.get("type") == []:
            return st.nothing()
        if "$ref" in schema:
            return self._for_reference(schema)
        unfiltered = self._unfiltered(schema)
        if not schema.keys() & _FILTERED_KEYWORDS:
            return unfiltered
        return unfiltered.filter(self._validator(schema).is_valid)

    def _for_reference(self, schema: Schema) -> JsonValues:
        ref = schema["$ref"]
        if ref not in self.references:
            # Deferred, because a schema may refer to itself.
            self.references[ref] = st.deferred(lambda: self.for_schema(self._resolve(ref)))
        siblings = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
        if not siblings:
            return self.references[ref]
        merged = merge(self._resolve(ref), {k: v for k, v in schema.items() if k != "$ref"})
        return self.for_schema(merged).filter(self._validator(schema).is_valid)

    def _unfiltered(self, schema: Schema) -> JsonValues:
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                rest = {key: value for key, value in schema.items() if key != keyword}
                branches = [self._combine(rest, branch) for branch in schema[keyword]]
                return st.one_of([self.for_schema(branch) for branch in branches])
        if "allOf" in schema:
            combined: Schema = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                combined = self._combine(combined, part)
            return self.for_schema(combined)
        return st.one_of([self._for_type(name, schema) for name in json_types(schema)])

    def _combine(self, schema: Schema, other: Any) -> Any:
        """Combine two schemas that both apply, as far as drawing values needs it."""
        if not isinstance(other, Mapping):
            return schema if other else False
        constraints = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
        if "$ref" in other and constraints:
            target = self._resolve(other["$ref"])
            other = merge(target, {k: v for k, v in other.items() if k != "$ref"})
        return merge(constraints, other)

    def _for_type(self, name: str, schema: Schema) -> JsonValues:
        match name:
            case "null":
                return st.none()
            case "boolean":
                return st.booleans()
            case "integer":
                return integers(schema)
            case "number":
                return integers(schema) | floats(schema)
            case "string":
                return strings(schema)
            case "array":
                return self._arrays(schema)
            case _:
                return self._objects(schema)

    def _arrays(self, schema: Schema) -> JsonValues:
        prefix = [self.for_schema(item) for item in schema.get("prefixItems", ())]
        items = self.for_schema(schema.get("items", True))
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if not prefix and _is_empty(schema.get("items", True), items):
            return st.nothing() if least else st.just([])
        if not prefix:
            most = least + ITEMS_MAX if most is None else min(most, least + ITEMS_MAX)
            lists = st.lists(items, min_size=least, max_size=most)
            if not schema.get("uniqueItems"):
                return lists
            # Not unique=True, which rejects the strategy if it has fewer values than the list.
            return lists.map(_remove_duplicates).filter(lambda unique: len(unique) >= least)
        head = st.tuples(*prefix).map(list)
        is_full = most is not None and most <= len(prefix)
        if _is_empty(schema.get("items", True), items) or is_full:
            return head
        tail = st.lists(items, min_size=max(0, least - len(prefix)), max_size=ITEMS_MAX)
        return st.builds(list.__add__, head, tail)

    def _objects(self, schema: Schema) -> JsonValues:
        properties = schema.get("properties", {})
        names = tuple(schema.get("required", ()))
        required = {name: self.for_schema(properties.get(name, True)) for name in names}
        optional = {
            name: values
            for name, property_ in properties.items()
            if name not in required
            and not _is_empty(property_, values := self.for_schema(property_))
        }
        declared = st.fixed_dictionaries(required, optional=optional)
        additional = [
            st.tuples(keys, values)
            for keys, property_ in dict(self._additional_properties(schema)).values()
            if not _is_empty(property_, values := self.for_schema(property_))
        ]
        if not additional:
            return declared
        least = max(0, schema.get("minProperties", 0) - len(required))
        pairs = st.lists(st.one_of(additional), min_size=least, max_size=least + ITEMS_MAX)
        return st.builds(lambda known, extra: {**dict(extra), **known}, declared, pairs)

    def _additional_properties(
        self, schema: Schema
    ) -> Iterator[tuple[str, tuple[SearchStrategy[str], Any]]]:
        """Yield the properties without a declared name: a pattern, their keys, their schema."""
        for pattern, property_ in schema.get("patternProperties", {}).items():
            yield pattern, (strings({"pattern": pattern}), property_)
        # A receiver drops properties that the schema does not declare, so where it declares some,
        # others are drawn only if `additionalProperties` describes them.
        property_ = schema.get("additionalProperties", "properties" not in schema)
        if property_ is not False and "patternProperties" not in schema:
            keys = {"type": "string", **schema.get("propertyNames", {})}
            yield "", (self.for_schema(keys), property_)

    def _resolve(self, ref: str) -> Any:
        return resolve_reference(self.root, ref)

    def _validator(self, schema: Schema) -> Any:
        definitions = {
            key: self.root[key] for key in ("$defs", "definitions", "$schema") if key in self.root
        }
        return compile_validator({**schema, **definitions})


def _remove_duplicates(items: list[Any]) -> list[Any]:
    # Compared as JSON text, because 1 == True in Python.
    return list({orjson.dumps(item, option=orjson.OPT_SORT_KEYS): item for item in items}.values())


def _is_empty(schema: Any, values: JsonValues) -> bool:
    """Return True if *values* cannot draw anything; a schema with a reference counts as not empty.

    Following references could recurse without end.
    """
    return values.is_empty if "$ref" not in str(schema) else False
