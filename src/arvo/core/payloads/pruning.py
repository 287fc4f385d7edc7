"""Known: which keys of an object a foreign JSON Schema speaks of, and which defaults it gives."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, TypeAlias
from urllib.parse import unquote

from attrs import Factory, frozen

from arvo.core.payloads.frozen_json import FrozenDict, FrozenList

Schema: TypeAlias = dict[str, Any]

_TYPES: dict[type, tuple[str, ...]] = {
    dict: ("object",),
    FrozenDict: ("object",),
    list: ("array",),
    FrozenList: ("array",),
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    type(None): ("null",),
}
_OPEN: Schema = {"additionalProperties": True}
_BY_VALUE = ("anyOf", "oneOf", "dependentSchemas")


@frozen
class Level:
    """What the schemas that speak of one value say of it."""

    parts: tuple[Schema, ...]
    keys: dict[str, tuple[Any, ...]]
    """The schemas of each key that is known."""
    others: tuple[Any, ...]
    """The schemas of any other key."""
    keeps: bool
    """Whether other keys stay."""
    defaults: dict[str, Any]


@frozen(eq=False)
class Known:
    """The keys and defaults of the schema *root*, found through ``$ref``, ``allOf``, ``anyOf``, ….

    A key is known if ``properties`` or ``required`` say it. Others stay where an object has no
    ``properties`` at all, or has ``patternProperties`` or ``additionalProperties``. Of alternatives
    those count whose types and constants fit the value, as in a union with a tag.
    """

    root: Schema
    # Only for schemas without alternatives, so it is no longer than the schema.
    _levels: dict[tuple[int, ...], Level] = Factory(dict)

    def fill(self, value: Any) -> Any:
        """Copy *value* with defaults put where keys are missing."""
        return self._fill((self.root,), value)

    def prune(self, value: Any) -> Any:
        """Copy *value* without the keys that nobody knows."""
        return self._prune((self.root,), value)

    def _fill(self, schemas: tuple[Any, ...], value: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        level = self._level(schemas, value)
        if isinstance(value, list):
            return [self._fill(_items(level, i), each) for i, each in enumerate(value)]
        keys, others = level.keys, level.others
        filled = {key: self._fill(keys.get(key, others), each) for key, each in value.items()}
        for key, default in level.defaults.items():
            if key not in filled:
                # As it stands: to fill a default in turn may never end.
                filled[key] = deepcopy(default)
        return filled

    def _prune(self, schemas: tuple[Any, ...], value: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        level = self._level(schemas, value)
        if isinstance(value, list):
            return [self._prune(_items(level, i), each) for i, each in enumerate(value)]
        keys, others, keeps = level.keys, level.others, level.keeps
        return {
            key: self._prune(keys.get(key, others), each)
            for key, each in value.items()
            if keeps or key in keys
        }

    def _level(self, schemas: tuple[Any, ...], value: Any) -> Level:
        at = tuple(map(id, schemas))
        level = self._levels.get(at)
        if level is None:
            level = self._read(self._parts(schemas, value))
            if not any(word in part for part in level.parts for word in _BY_VALUE):
                self._levels[at] = level
        return level

    def _read(self, parts: tuple[Schema, ...]) -> Level:
        keys: dict[str, tuple[Any, ...]] = {}
        defaults: dict[str, Any] = {}
        for part in parts:
            for key, schema in part.get("properties", {}).items():
                keys[key] = (*keys.get(key, ()), schema)
                for inner in self._parts((schema,), None):
                    if "default" in inner:
                        defaults.setdefault(key, inner["default"])
        for key in (key for part in parts for key in _demanded(part)):
            keys.setdefault(key, ())
        open_ = [part[word] for part in parts for word in _OTHERS if word in part]
        keeps = any(each is not False for each in open_)
        keeps = keeps or not any("properties" in part for part in parts)
        others = () if any("patternProperties" in part for part in parts) else tuple(open_)
        return Level(parts, keys, others, keeps, defaults)

    def _parts(self, schemas: tuple[Any, ...], value: Any) -> tuple[Schema, ...]:
        seen: set[int] = set()
        return tuple(part for each in schemas for part in self._flat(each, value, seen)[0])

    def _flat(self, schema: Any, value: Any, seen: set[int]) -> tuple[list[Schema], bool]:
        """List the schemas that speak of *value* itself, and tell whether *schema* may be meant."""
        if not isinstance(schema, dict):
            return [], schema is not False
        if id(schema) in seen:
            return [], True
        seen.add(id(schema))
        parts, fits = [schema], _fits(schema, value)
        for inner in self._also(schema, value):
            more, good = self._flat(inner, value, seen)
            parts, fits = parts + more, fits and good
        for branches in (schema[word] for word in ("anyOf", "oneOf") if word in schema):
            found = [self._flat(each, value, seen) for each in branches]
            some = any(good for _, good in found)
            parts += [part for more, good in found if good or not some for part in more]
            fits = fits and some
        for word in ("if", "then", "else"):
            parts += self._flat(schema.get(word, True), value, seen)[0]
        return parts, fits

    def _also(self, schema: Schema, value: Any) -> Iterator[Any]:
        """List what holds together with *schema* in any case."""
        if "$ref" in schema:
            yield self._target(schema["$ref"])
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            yield _OPEN
        yield from schema.get("allOf", ())
        if isinstance(value, dict):
            for key, inner in schema.get("dependentSchemas", {}).items():
                if key in value:
                    yield inner

    def _target(self, ref: str) -> Any:
        if ref != "#" and not ref.startswith("#/"):
            return _OPEN  # an anchor or another document: nothing is known, so nothing is dropped
        found: Any = self.root
        for step in unquote(ref[2:]).split("/") if ref != "#" else ():
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                return _OPEN
        return found


_OTHERS = ("patternProperties", "additionalProperties", "unevaluatedProperties")


def _demanded(part: Schema) -> Iterator[str]:
    yield from part.get("required", ())
    for names in part.get("dependentRequired", {}).values():
        yield from names


def _items(level: Level, index: int) -> tuple[Any, ...]:
    found = []
    for part in level.parts:
        # Before 2020-12 a list in items was what prefixItems is now.
        prefix = part.get("prefixItems", part.get("items"))
        if isinstance(prefix, list) and index < len(prefix):
            found.append(prefix[index])
        elif isinstance(part.get("items"), dict):
            found.append(part["items"])
    return tuple(found)


def _fits(schema: Schema, value: Any) -> bool:
    types = schema.get("type")
    if types is not None:
        wanted = [types] if isinstance(types, str) else types
        if not any(name in wanted for name in _TYPES.get(type(value), ())):
            return False
    if not _chosen(schema, value):
        return False
    if not isinstance(value, dict):
        return True
    properties = schema.get("properties", {})
    missing = [key for key in schema.get("required", ()) if key not in value]
    return all("default" in (properties.get(key) or ()) for key in missing) and all(
        _chosen(inner, value[key]) for key, inner in properties.items() if key in value
    )


def _chosen(schema: Any, value: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    if "const" in schema:
        return bool(schema["const"] == value)
    return "enum" not in schema or value in schema["enum"]
