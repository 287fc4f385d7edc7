"""Values: JSON data that a JSON Schema allows, as a Hypothesis strategy.

Not hypothesis-jsonschema: it reads drafts up to 7, and contracts are written in 2020-12.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import orjson
from attrs import define, field
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.payloads.validator import validator
from arvo.testing.strategies.numbers import INTEGER_MAX, INTEGER_MIN, floats, integers
from arvo.testing.strategies.strings import CHARACTERS, texts

Schema: TypeAlias = Mapping[str, Any]
Values: TypeAlias = SearchStrategy[Any]

# Beyond what the schema demands: longer lists say no more, and shrink slower.
ITEMS_MAX: Final = 4

_SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS, max_size=8)
)
ANYTHING: Final[Values] = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(CHARACTERS, max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
# Keywords that no draw aims at: what is drawn is checked against them.
_CHECKED: Final = frozenset(
    {"allOf", "oneOf", "not", "if", "contains", "dependentRequired", "dependentSchemas", "pattern"}
    | {"unevaluatedProperties", "unevaluatedItems", "minProperties", "maxProperties", "format"}
    | {"multipleOf", "propertyNames", "dependencies", "patternProperties", "anyOf", "enum"}
)
_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties", "patternProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"pattern", "format", "minLength", "maxLength"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
}


def values(schema: Schema) -> Values:
    """Draw any JSON data that *schema* allows, the simplest first.

    Draft 2020-12, as far as contracts use it; keywords that nothing aims at are kept by filtering.
    References to other documents are not followed.
    """
    return _Draw(schema).of(schema)


@define
class _Draw:
    """The strategies of one document, one for each schema that is pointed to."""

    root: Schema
    pointed: dict[str, Values] = field(factory=dict)

    def of(self, schema: Any) -> Values:
        if schema is True or schema == {}:
            return ANYTHING
        if schema is False or schema.get("type") == []:
            return st.nothing()
        if "$ref" in schema:
            return self._pointed(schema)
        drawn = self._drawn(schema)
        if not schema.keys() & _CHECKED:
            return drawn
        return drawn.filter(self._validator(schema).is_valid)

    def _pointed(self, schema: Schema) -> Values:
        ref = schema["$ref"]
        if ref not in self.pointed:
            # Deferred, for a schema may point to itself.
            self.pointed[ref] = st.deferred(lambda: self.of(self._target(ref)))
        beside = {key: value for key, value in schema.items() if key not in NOTES}
        if not beside:
            return self.pointed[ref]
        whole = merged(self._target(ref), {k: v for k, v in schema.items() if k != "$ref"})
        return self.of(whole).filter(self._validator(schema).is_valid)

    def _drawn(self, schema: Schema) -> Values:
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                rest = {key: value for key, value in schema.items() if key != word}
                return st.one_of([self.of(self._with(rest, each)) for each in schema[word]])
        if "allOf" in schema:
            whole: Schema = {key: value for key, value in schema.items() if key != "allOf"}
            for each in schema["allOf"]:
                whole = self._with(whole, each)
            return self.of(whole)
        return st.one_of([self._of_type(kind, schema) for kind in kinds(schema)])

    def _with(self, schema: Schema, other: Any) -> Any:
        """Put two schemas that both hold into one, as far as drawing needs it."""
        if not isinstance(other, Mapping):
            return schema if other else False
        bare = {key: value for key, value in schema.items() if key not in NOTES}
        if "$ref" in other and bare:
            target = self._target(other["$ref"])
            other = merged(target, {k: v for k, v in other.items() if k != "$ref"})
        return merged(bare, other)

    def _of_type(self, kind: str, schema: Schema) -> Values:
        match kind:
            case "null":
                return st.none()
            case "boolean":
                return st.booleans()
            case "integer":
                return integers(schema)
            case "number":
                return integers(schema) | floats(schema)
            case "string":
                return texts(schema)
            case "array":
                return self._arrays(schema)
            case _:
                return self._objects(schema)

    def _arrays(self, schema: Schema) -> Values:
        first = [self.of(each) for each in schema.get("prefixItems", ())]
        items = self.of(schema.get("items", True))
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if not first and _is_empty(schema.get("items", True), items):
            return st.nothing() if least else st.just([])
        if not first:
            most = least + ITEMS_MAX if most is None else min(most, least + ITEMS_MAX)
            drawn = st.lists(items, min_size=least, max_size=most)
            if not schema.get("uniqueItems"):
                return drawn
            # Not unique=True, which refuses where there are fewer values than items.
            return drawn.map(_distinct).filter(lambda found: len(found) >= least)
        head = st.tuples(*first).map(list)
        if _is_empty(schema.get("items", True), items) or (most is not None and most <= len(first)):
            return head
        tail = st.lists(items, min_size=max(0, least - len(first)), max_size=ITEMS_MAX)
        return st.builds(list.__add__, head, tail)

    def _objects(self, schema: Schema) -> Values:
        properties = schema.get("properties", {})
        demanded = tuple(schema.get("required", ()))
        needed = {name: self.of(properties.get(name, True)) for name in demanded}
        may = {
            name: drawn
            for name, each in properties.items()
            if name not in needed and not _is_empty(each, drawn := self.of(each))
        }
        named = st.fixed_dictionaries(needed, optional=may)
        others = [
            st.tuples(keys, drawn)
            for keys, each in dict(self._others(schema)).values()
            if not _is_empty(each, drawn := self.of(each))
        ]
        if not others:
            return named
        extra = st.one_of(others)
        least = max(0, schema.get("minProperties", 0) - len(needed))
        more = st.lists(extra, min_size=least, max_size=least + ITEMS_MAX)
        return st.builds(lambda known, found: {**dict(found), **known}, named, more)

    def _others(self, schema: Schema) -> Iterator[tuple[str, tuple[SearchStrategy[str], Any]]]:
        """Give what stands beside the named properties: their keys, and the schema of each."""
        for pattern, each in schema.get("patternProperties", {}).items():
            yield pattern, (texts({"pattern": pattern}), each)
        # Where properties are named, others are unknown and dropped, unless they are spoken of.
        each = schema.get("additionalProperties", "properties" not in schema)
        if each is not False and "patternProperties" not in schema:
            keys = {"type": "string", **schema.get("propertyNames", {})}
            yield "", (self.of(keys), each)

    def _target(self, ref: str) -> Any:
        return pointed(self.root, ref)

    def _validator(self, schema: Schema) -> Any:
        beside = {
            key: self.root[key] for key in ("$defs", "definitions", "$schema") if key in self.root
        }
        return validator({**schema, **beside})


def _distinct(items: list[Any]) -> list[Any]:
    # By its text, for 1 and True are one to Python.
    return list({orjson.dumps(item, option=orjson.OPT_SORT_KEYS): item for item in items}.values())


def _is_empty(schema: Any, drawn: Values) -> bool:
    """Tell whether nothing can be drawn; what points elsewhere is not looked into, or for ever."""
    return drawn.is_empty if "$ref" not in str(schema) else False


def pointed(root: Schema, ref: str) -> Any:
    """Follow a reference inside the document *root*."""
    found: Any = root
    for step in unquote(ref.removeprefix("#")).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


# What says nothing of a value.
NOTES: Final = frozenset({"$ref", "title", "description", "default", "examples", "$comment"})
_LEAST: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_MOST: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})


def merged(one: Schema, other: Schema) -> Schema:
    """Say both schemas in one; where a keyword stands in both and cannot be, the second is kept."""
    both = {**one, **other}
    for word in one.keys() & other.keys():
        if word in _LEAST:
            both[word] = min(one[word], other[word])
        elif word in _MOST:
            both[word] = max(one[word], other[word])
        elif word == "properties":
            both[word] = {**one[word], **other[word]}
        elif word == "type":
            both[word] = _shared(kinds(one), kinds(other))
        elif word == "required":
            both[word] = list(dict.fromkeys([*one[word], *other[word]]))
    return both


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
    # A whole number is a number: where one side says the one and the other the other, both do.
    return [
        kind
        for kind in dict.fromkeys((*one, *other))
        if all(kind in side or (kind == "integer" and "number" in side) for side in (one, other))
    ]


def kinds(schema: Schema) -> tuple[str, ...]:
    """Name the JSON types that *schema* speaks of."""
    said = schema.get("type")
    if isinstance(said, str):
        return (said,)
    if said is not None:
        return tuple(said)
    found = tuple(kind for kind, words in _TYPES.items() if schema.keys() & words)
    # A bound speaks of its own type only, so any other fits; those are what nobody means.
    return found or ("null", "boolean", "number", "string", "array", "object")
