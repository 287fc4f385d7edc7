"""Within: whether all that one JSON Schema allows, another allows too."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, final

from attrs import define, field, frozen

from arvo.core.payloads.validator import validator
from arvo.core.violations.issue import below, short
from arvo.testing.strategies.json_values import NOTES, kinds, merged, pointed

Schema: TypeAlias = Any

# Keywords that are compared by being the same, or not being there.
_SAME: Final = (
    *("pattern", "format", "propertyNames", "patternProperties", "not", "if", "then", "else"),
    *("contains", "dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    *("unevaluatedItems", "$dynamicRef"),
)
_NUMBERS: Final = frozenset({"integer", "number"})


@final
@frozen
class Gap:
    """Something that one schema allows and the other does not: where, and in words."""

    path: str
    allowed: str
    taken: str


def gaps(one: Schema, other: Schema, path: str) -> Iterator[Gap]:
    """Say what *one* allows that *other* does not take; nothing where all is taken.

    A receiver drops what it does not know and fills in defaults, so a property that only one of
    them names is no gap. Keywords that cannot be compared must be the same.
    """
    yield from _Walk(one, other).walk(one, other, path)


@define
class _Walk:
    """Two documents, and the pairs of references that are being compared already."""

    one: Schema
    other: Schema
    seen: set[tuple[str, str]] = field(factory=set)

    def walk(self, one: Schema, other: Schema, path: str) -> Iterator[Gap]:
        """Compare two schemas for the value at *path*."""
        if one == other and _defs(self.one) == _defs(self.other):
            return
        refs = (_ref(one), _ref(other))
        if all(refs):
            if refs in self.seen:
                return
            self.seen.add(refs)
        parts = self._parts(other)
        if len(parts) > 1:
            # Not put into one: where a keyword stands in two of them, both must hold.
            for part in parts:
                yield from self.walk(one, part, path)
            return
        whole, one, other = one, _flat(one, self.one), parts[0]
        if other is True or one is False or _bare(one) == _bare(other) == {}:
            return
        if other is False:
            yield Gap(path, "a value", "nothing")
            return
        one = {} if one is True else one
        if _values(one) is not None:
            yield from self._values(whole, one, other, path)
            return
        branches = _branches(one)
        if branches:
            for branch in branches:
                yield from self.walk(branch, other, path)
            return
        yield from self._into(one, other, path)

    def _values(self, whole: Schema, one: Schema, other: Schema, path: str) -> Iterator[Gap]:
        allows = validator({**whole, **_defs(self.one)}).is_valid
        takes = validator({**other, **_defs(self.other)}).is_valid
        for value in _values(one) or ():
            if allows(value) and not takes(value):
                yield Gap(path, repr(value), _said(other))

    def _parts(self, schema: Schema) -> list[Schema]:
        """List what must hold together for *schema* to hold."""
        if not isinstance(schema, Mapping):
            return [schema]
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key not in NOTES}
            target = self._parts(pointed(self.other, schema["$ref"]))
            return [*target, *(self._parts(rest) if rest else ())]
        parts = [part for each in schema.get("allOf", ()) for part in self._parts(each)]
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        words = [word for word in ("anyOf", "oneOf") if word in rest]
        if rest.keys() - {*words, *NOTES, "$defs"}:
            parts += [{word: rest.pop(word)} for word in words]
        return [*parts, rest] if not parts or rest.keys() - NOTES else parts

    def _into(self, one: Schema, other: Schema, path: str) -> Iterator[Gap]:
        branches = _branches(other)
        if branches:
            tried = [list(_Walk(self.one, self.other).walk(one, each, path)) for each in branches]
            if all(tried):
                # The branch that is nearest: what it lacks is most likely meant.
                yield from min(tried, key=lambda each: (_foreign(each, path), len(each)))
            return
        if _values(other) is not None:
            yield Gap(path, _said(one), _said(other))
            return
        foreign = [kind for kind in kinds(one) if not _takes(kind, kinds(other))]
        if foreign:
            yield Gap(path, " or ".join(foreign), _said(other))
            return
        yield from _bounds(one, other, path)
        for word in _SAME:
            if word in other and one.get(word) != other[word]:
                yield _differing(word, one, other, path)
        if "object" in kinds(one):
            yield from self._objects(one, other, path)
        if "array" in kinds(one):
            yield from self._arrays(one, other, path)

    def _objects(self, one: Schema, other: Schema, path: str) -> Iterator[Gap]:
        ours, theirs = one.get("properties", {}), other.get("properties", {})
        # Where properties are named and nothing is said of others, nobody means to send others.
        more = one.get("additionalProperties", None if "properties" in one else True)
        others = other.get("additionalProperties", True)
        for name in other.get("required", ()):
            filled = isinstance(theirs.get(name), Mapping) and "default" in theirs[name]
            if name not in one.get("required", ()) and not filled:
                yield Gap(below(path, name), "nothing", "a value (required)")
        for name, schema in ours.items():
            if name in theirs:
                yield from self.walk(schema, theirs[name], below(path, name))
            elif others is not True:
                yield from self.walk(schema, others, below(path, name))
        if more is True or isinstance(more, Mapping):
            for name, schema in theirs.items():
                if name not in ours:
                    yield from self.walk(more, schema, below(path, name))
            if others is not True:
                yield from self.walk(more, others, f"{path}.*")

    def _arrays(self, one: Schema, other: Schema, path: str) -> Iterator[Gap]:
        ours, theirs = one.get("prefixItems", []), other.get("prefixItems", [])
        rest, others = one.get("items", True), other.get("items", True)
        for index in range(max(len(ours), len(theirs))):
            mine = ours[index] if index < len(ours) else rest
            yours = theirs[index] if index < len(theirs) else others
            yield from self.walk(mine, yours, below(path, index))
        closed = one.get("maxItems", len(ours) + 1) <= len(ours)
        if not closed and rest is not False:
            yield from self.walk(rest, others, f"{path}[]")
        if other.get("uniqueItems") and not one.get("uniqueItems"):
            yield Gap(path, "an item twice", "each item once")


def _ref(schema: Schema) -> str:
    return schema.get("$ref", "") if isinstance(schema, Mapping) else ""


def _flat(schema: Schema, root: Schema) -> Schema:
    """Put what a reference and `allOf` say into one schema."""
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        target = _flat(pointed(root, schema["$ref"]), root)
        return _flat(merged(target, rest), root) if isinstance(target, Mapping) else target
    flat = {key: value for key, value in schema.items() if key != "allOf"}
    for each in schema.get("allOf", ()):
        part = _flat(each, root)
        if part is False:
            return False
        flat = {**merged(flat, part)} if isinstance(part, Mapping) else flat
    return False if flat.get("type") == [] else flat


def _bare(schema: Schema) -> Any:
    if not isinstance(schema, Mapping):
        return {} if schema else schema
    return {key: value for key, value in schema.items() if key not in NOTES and key != "$defs"}


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _branches(schema: Mapping[str, Any]) -> list[Any]:
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {key: value for key, value in schema.items() if key not in (word, *NOTES)}
            return [_beside(each, rest) for each in schema[word]]
    if isinstance(schema.get("type"), list) and len(schema["type"]) > 1:
        return [{**schema, "type": kind} for kind in schema["type"]]
    return []


def _beside(branch: Any, rest: Mapping[str, Any]) -> Any:
    if not isinstance(branch, Mapping) or not rest:
        return branch
    return {"allOf": [branch, rest]}


def _defs(root: Schema) -> Mapping[str, Any]:
    return {key: root[key] for key in ("$defs", "definitions") if key in root}


def _takes(kind: str, known: tuple[str, ...]) -> bool:
    return kind in known or (kind == "integer" and "number" in known)


def _foreign(found: list[Gap], path: str) -> bool:
    return any(gap.path == path for gap in found)


def _bounds(one: Schema, other: Schema, path: str) -> Iterator[Gap]:
    for what in ("Length", "Items", "Properties"):
        least, most = f"min{what}", f"max{what}"
        if other.get(least, 0) > one.get(least, 0):
            yield _differing(least, one, other, path)
        if most in other and other[most] < one.get(most, other[most] + 1):
            yield _differing(most, one, other, path)
    if not _NUMBERS & set(kinds(one)):
        return
    for words, sign in _SIDES:
        mine, yours = _bound(one, words, sign), _bound(other, words, sign)
        if yours is not None and (mine is None or mine < yours):
            said = f"no {words[0]}" if mine is None else _word(words[mine[1]], one[words[mine[1]]])
            yield Gap(path, said, _word(words[yours[1]], other[words[yours[1]]]))
    step, ours = other.get("multipleOf"), one.get("multipleOf")
    if step is not None and (ours is None or ours % step):
        yield _differing("multipleOf", one, other, path)


_SIDES: Final = ((("minimum", "exclusiveMinimum"), 1), (("maximum", "exclusiveMaximum"), -1))


def _differing(word: str, one: Schema, other: Schema, path: str) -> Gap:
    return Gap(path, _word(word, one.get(word)), _word(word, other.get(word)))


def _bound(schema: Schema, words: tuple[str, str], sign: int) -> tuple[float, int] | None:
    """Give the tightest bound, turned so that more is tighter, and whether it is exclusive."""
    found = [(sign * schema[word], at) for at, word in enumerate(words) if word in schema]
    return max(found, default=None)


def _word(word: str, value: object) -> str:
    return f"no {word}" if value is None else f"{word} {short(value)}"


def _said(schema: Schema) -> str:
    if not isinstance(schema, Mapping):
        return "anything" if schema else "nothing"
    values = _values(schema)
    if values is not None:
        return " or ".join(map(repr, values))
    branches = _branches(schema)
    if branches:
        return " or ".join(map(_said, branches))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return " or ".join(kinds(schema))
