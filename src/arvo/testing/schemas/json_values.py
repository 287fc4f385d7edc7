"""JSON values: a Hypothesis strategy for the JSON data that a JSON Schema allows.

Not hypothesis-jsonschema: it reads drafts up to 7, and contracts are written in 2020-12.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, Final

import orjson
from attrs import define, field
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from arvo.core.payloads.validation import compile_validator
from arvo.testing.schemas.arrays import Arrays, JsonValues
from arvo.testing.schemas.document import Document, to_document
from arvo.testing.schemas.json_schema import (
    ALTERNATIVES,
    ANNOTATIONS,
    Schema,
    json_types,
    merge,
)
from arvo.testing.schemas.numbers import INTEGER_MAX, INTEGER_MIN, floats, integers
from arvo.testing.schemas.objects import Objects
from arvo.testing.schemas.regex.characters import CHARACTERS
from arvo.testing.schemas.strings import strings

# Steps to put the parts of one schema together. A schema that refers to itself needs more.
MERGES_MAX: Final = 256

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
# Keywords whose schemas are drawn by construction in full. With others the values are validated,
# and filtered.
_CONSTRUCTED: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems"}
    | {"minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | (ANNOTATIONS - {"$ref"})
)


def json_values(schema: Schema) -> JsonValues:
    """Draw any JSON data that *schema* allows, the simplest first.

    Supports drafts 4 to 2020-12. Raises `UnknownReference` for a reference to another document, and
    `UntranslatablePattern`.
    """
    return SchemaStrategies(to_document(schema)).for_document()


# Without a repr: strategies refer to each other in circles.
@define(eq=False, repr=False)
class SchemaStrategies:
    """Builds the strategies of one schema document, and caches one for each schema."""

    document: Document
    strategies: dict[bytes, JsonValues] = field(factory=dict)
    references: dict[str, JsonValues] = field(factory=dict)
    validators: dict[bytes, Any] = field(factory=dict)

    def for_document(self) -> JsonValues:
        """Return the strategy of the whole document."""
        return self.for_schema(self.document.schema)

    def for_schema(self, schema: Any) -> JsonValues:
        """Return the strategy of *schema*, whose references are those of the document."""
        if schema is True or schema == {}:
            return ANY_JSON
        if schema is False or schema.get("type") == []:
            return st.nothing()
        if schema.keys() - ANNOTATIONS == set() and "$ref" in schema:
            return self._for_reference(schema["$ref"])
        key = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
        if key not in self.strategies:
            values = self._unfiltered(schema)
            if schema.keys() - _CONSTRUCTED:
                values = values.filter(lambda value: self.accepts(schema, value))
            self.strategies[key] = values
        return self.strategies[key]

    def accepts(self, schema: Any, value: Any) -> bool:
        """Return True if *value* fits *schema*."""
        if isinstance(schema, bool):
            return schema
        key = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
        if key not in self.validators:
            whole = {**schema, "$defs": self.document.definitions}
            self.validators[key] = compile_validator(whole)
        return bool(self.validators[key].is_valid(value))

    def _for_reference(self, reference: str) -> JsonValues:
        if reference not in self.references:
            # Deferred, because a schema may refer to itself.
            target = self._definition(reference)
            self.references[reference] = st.deferred(lambda: self.for_schema(target))
        return self.references[reference]

    def _definition(self, reference: str) -> Any:
        return self.document.definitions[reference.removeprefix("#/$defs/")]

    def _unfiltered(self, schema: Schema) -> JsonValues:
        flat = self._flatten(schema)
        if flat is False:
            return st.nothing()
        if "const" in flat or "enum" in flat:
            options = [flat["const"]] if "const" in flat else flat["enum"]
            allowed = [option for option in options if self.accepts(flat, option)]
            return st.sampled_from(allowed) if allowed else st.nothing()
        if ALTERNATIVES in flat:
            return self._for_alternatives(flat)
        return st.one_of([self._for_type(name, flat) for name in json_types(flat)])

    def _flatten(self, schema: Any) -> Any:
        """Merge the parts of `allOf`, and the targets of references beside other keywords."""
        pending: list[Any] = [schema]
        flat: Schema = {}
        for _ in range(MERGES_MAX):
            if not pending:
                return False if flat.get("type") == [] else flat
            part = pending.pop()
            if part is False:
                return False
            if part is True:
                continue
            part = {key: value for key, value in part.items() if key not in _NO_CONSTRAINTS}
            if "$ref" in part:
                pending.append(self._definition(part.pop("$ref")))
            pending += part.pop("allOf", ())
            flat = merge(flat, part) if flat else part
        return False

    def _for_alternatives(self, schema: Schema) -> JsonValues:
        lists = schema[ALTERNATIVES]
        if len(lists) > 1 or prod(map(len, lists)) > MERGES_MAX:
            return self._draw_alternatives(schema)
        branches = [self._choose(schema, branch) for branch in lists[0]]
        possible = [branch for branch in branches if branch is not False]
        return st.one_of([self.for_schema(branch) for branch in possible])

    def _draw_alternatives(self, schema: Schema) -> JsonValues:
        # Without parameters: Hypothesis writes out those of a strategy whenever a draw fails.
        @st.composite
        def drawn(draw: DrawFn) -> Any:
            return draw(self.for_schema(self._choose_all(draw, schema)))

        return drawn()

    def _choose(self, schema: Schema, branch: Any) -> Any:
        """Return *schema* with *branch* in the place of its first list of alternatives."""
        rest = {key: value for key, value in schema.items() if key not in _CHOICES}
        if len(schema[ALTERNATIVES]) > 1:
            rest[ALTERNATIVES] = schema[ALTERNATIVES][1:]
        if not isinstance(branch, Mapping):
            return rest if branch else False
        if not rest:
            # Alone it may be a reference, which must not be followed here: it may be to itself.
            return branch
        flat = self._flatten({"allOf": [rest, branch]})
        return False if flat is False or _is_contradiction(flat) else flat

    def _choose_all(self, draw: DrawFn, schema: Any) -> Any:
        """Choose one schema of each list of alternatives, as far as they go together."""
        for _ in range(MERGES_MAX):
            if ALTERNATIVES not in schema:
                return schema
            branches = [self._choose(schema, branch) for branch in schema[ALTERNATIVES][0]]
            possible = [branch for branch in branches if branch is not False]
            if not possible:
                reject()
            chosen = possible[draw(st.integers(0, len(possible) - 1))]
            schema = self._flatten(chosen)
            if schema is False:
                reject()
        return reject()

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
                return Arrays(schema, self.for_schema, self.accepts).values()
            case _:
                return Objects(schema, self.for_schema, self.accepts).values()


# Keywords without meaning for what is drawn, and those that the lists of alternatives stand for.
_NO_CONSTRAINTS: Final = (ANNOTATIONS - {"$ref"}) | {"then", "else"}
_CHOICES: Final = frozenset({ALTERNATIVES, "anyOf", "oneOf", "if", "not"}) | {
    "dependentRequired",
    "dependentSchemas",
}


def _is_contradiction(schema: Schema) -> bool:
    properties = schema.get("properties", {})
    return json_types(schema) == ("object",) and any(
        properties.get(name) is False for name in schema.get("required", ())
    )
